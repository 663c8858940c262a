// The playground: a form whose whole state is the address, a worker in which nobackprop learns, and pictures of it.
import {CLASSES, chart, matrices, pictures, plane, shade} from "./drawing.js";
import {NO_WASM, Python} from "./worker-client.js";

const $ = name => document.getElementById(name);
const FIELDS = ["rule", "rule2", "task", "model", "activation", "lr", "seed"];
const PAUSE = 110;      // milliseconds from one picture of a network to the next
const ALOUD = 6000;     // milliseconds from one spoken sentence to the next

// resetting: sides are made anew; running: they learn, until `target` epochs
let catalogue, python, usual, state, sides = [], resetting = true, running = false, target = 0, cursor = null;
let epochTimes = [], spoken = 0, round = 0, looping = 0, pending = null;

// ---------------------------------------------------------------- the address

// Python reads the link, and says what of it is not understood; then nothing runs before somebody presses Run.
async function fromAddress() {
  const mine = ++round;
  resetting = true;
  running = false;
  target = 0;
  controls();
  const found = await python.json("understood", JSON.stringify([...new URLSearchParams(location.hash.slice(1))]));
  if (mine !== round) return;
  tell(found.faults.length ? `This link is not understood in full. ${found.faults.join(" ")}` : "");
  state = found.state;
  await reset(found.faults.length ? 0 : Number(state.epochs));
}

function tell(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

function toAddress(epochs) {
  state.epochs = String(epochs);
  const kept = Object.entries(state).filter(([key, value]) => value !== usual[key] || ["rule", "task", "seed"].includes(key));
  history.replaceState(null, "", "#" + new URLSearchParams(kept));
}

function fillForm() {
  for (const field of FIELDS) $(field).value = state[field];
  $("draw").hidden = state.task !== "points";
}

// ---------------------------------------------------------------- sides

class Side {
  constructor(key, rule) {
    this.key = key;
    this.rule = rule;
    this.records = [];
    this.angles = [];
    this.broken = false;
    this.element = $("side").content.firstElementChild.cloneNode(true);
    this.colour = catalogue.rules[rule].colour;
    this.element.style.setProperty("--rule", shade(this.colour));
    this.part(".name").textContent = rule;
    this.part(".summary").textContent = catalogue.rules[rule].summary;
    this.element.setAttribute("aria-label", `Rule ${rule}`);
    if (catalogue.pages.includes(rule)) {
      this.part(".more").href = `rules/${rule}.html`;
      this.part(".more").hidden = false;
    }
    if (catalogue.drawings.includes(rule)) {
      this.part(".path img").src = `_static/rules/${rule}.svg`;
      this.part(".path img").alt = `Forward path and feedback path of ${rule}`;
      this.part(".path").hidden = false;
    }
  }

  part(selector) { return this.element.querySelector(selector); }

  async begin() {
    this.info = await python.json("start", this.key, JSON.stringify({...state, rule: this.rule}));
    this.begun = true;
    this.view = this.info.view;
    this.part(".parameters").textContent = this.info.parameters.toLocaleString("en");
    this.noteAngles();
  }

  fail(error) {
    this.broken = true;
    this.part(".fault").textContent = error.message;
    this.part(".fault").hidden = false;
  }

  get able() { return this.begun && !this.broken; }

  noteAngles() {
    this.view.pairs.forEach((pair, k) => {
      this.angles[k] ??= [];
      while (this.angles[k].length < this.records.length) this.angles[k].push(null);
      this.angles[k][this.records.length] = pair.angle;
    });
  }

  async epoch() {
    this.records.push(await python.json("epoch", this.key));
  }

  async look() {
    this.view = await python.json("view", this.key);
    this.noteAngles();
  }

  get last() { return this.records.at(-1); }

  draw() {
    const {info, view, records, last} = this;
    if (!info) return;
    const colour = shade(this.colour), until = Math.max(20, records.length);
    this.part(".epoch").textContent = records.length;
    if (last) {
      this.part(".loss").textContent = figures(last.train_loss, value => value.toPrecision(4));
      this.part(".accuracy").textContent = figures(last.validation_accuracy, value => value.toFixed(3));
    }
    const map = this.part(".map canvas");
    if (info.range) {
      map.classList.toggle("drawn", state.task === "points");
      plane(map, view, info, state.task === "points" ? ownPoints().map((point, i) => [...point, info.held.includes(i)]) : info.points.map(([x, y], i) => [x, y, info.labels[i]]), cursor, state.task === "points" ? 1.7 : 1);
      this.part(".map figcaption").textContent = state.task !== "points" ? "What the network answers for each point of the plane, and its training points"
        : !this.begun ? "Your points"
        : `What the network answers for each point of the plane, and your points. It learns from ${ownPoints().length - info.held.length} of them; the ${info.held.length} hollow ones are held back, and give the validation accuracy.`;
      map.setAttribute("aria-label", state.task === "points" ? `Map of the plane with ${ownPoints().length} points of your own. ${this.words()}`
        : `Map of the plane: the network's answers, and points of ${info.classes} classes. ${this.words()}`);
    } else {
      pictures(map, info.images, view);
      const wrong = view.answers.filter((answer, i) => answer !== info.images.labels[i]).length;
      this.part(".map figcaption").textContent = `Digits that it does not learn from, with its answers: ${wrong} of ${view.answers.length} are wrong`;
      map.setAttribute("aria-label", `${view.answers.length} handwritten digits with the network's answers, ${wrong} of them wrong. ${this.words()}`);
    }
    const {high, low} = scales();  // those of both sides, so that the eye can compare them
    chart(this.part(".losses canvas"), [
      {values: records.map(r => r.train_loss), colour, words: "loss", dash: [], format: v => v.toPrecision(2)},
      {values: records.map(r => r.validation_accuracy), colour, words: "acc.", dash: [3, 4]},
    ], {low: 0, high, ticks: high > 2 ? [0, 1, high] : [0, .5, 1, ...(high > 1 ? [high] : [])], last: until});
    this.part(".losses canvas").setAttribute("aria-label", `Chart of loss and accuracy over epochs. ${this.words()}`);
    const cosines = this.cosines(), deaf = cosines.flatMap((values, k) => (last && values.every(v => v === null) ? [k + 1] : []));
    chart(this.part(".alignment canvas"), cosines.map((values, k) => ({values, colour, words: `block ${k + 1}`})),
      {low, high: 1.05, ticks: low === -1 ? [-1, 0, 1] : [0, .5, 1], last: until, empty: last && cosines.length === deaf.length ? "nothing to compare" : undefined});
    this.part(".silent").textContent = !last || !deaf.length ? ""
      : cosines.length === deaf.length ? `${this.rule} sends no error signal to a hidden block that could be compared with backpropagation's.`
      : `${this.rule} sends block ${deaf.join(", ")} no error signal to compare.`;
    this.part(".alignment canvas").setAttribute("aria-label", last ? `Alignment of the error signals: ${cosines.map((v, k) => `block ${k + 1} ${v.at(-1) === null ? "no signal" : v.at(-1).toFixed(2)}`).join(", ") || "no hidden block"}` : "Alignment of the error signals: nothing has been learnt yet");
    const [picture, turning] = this.element.querySelectorAll(".matrices canvas"), there = view.pairs.length > 0;
    picture.hidden = turning.hidden = !there;
    this.part(".matrices").style.alignSelf = "start";
    this.part(".matrices figcaption").textContent = !this.begun ? "" : there
      ? `${view.pairs[0].direct ? "W, the product of the weights above a block, and the feedback weights B that stand for it" : "Weights W, and the feedback weights B that stand for them"} (blue is negative), with the angle between them. At 90° they have nothing in common.`
      : `${this.rule} keeps no feedback weights that stand for weights of the network.`;
    if (there) {
      const named = pair => (pair.block === info.blocks ? "output" : `block ${pair.block}`);
      matrices(picture, view.pairs, named);
      chart(turning, this.angles.map((values, k) => ({values: filled(values), colour, words: view.pairs[k].direct ? `above ${view.pairs[k].block}` : named(view.pairs[k]), format: v => `${v.toFixed(0)}°`})),
        {low: 0, high: Math.max(100, ...this.angles.flat().filter(v => v !== null)), ticks: [0, 45, 90], unit: "°", last: until, ratio: .42, from: 0});
      const said = view.pairs.map(pair => `${named(pair)} ${pair.angle === null ? "none" : `${pair.angle.toFixed(0)} degrees`}`).join(", ");
      picture.setAttribute("aria-label", `Weight and feedback matrices. Angles: ${said}`);
      turning.setAttribute("aria-label", `Chart of the angles over epochs: ${said}`);
    }
  }

  // alignment_at_a of each hidden block, over the epochs
  cosines() {
    return Array.from({length: this.last ? this.last.alignment_at_a.length : this.info ? this.info.blocks - 1 : 0}, (_, k) => this.records.map(record => record.alignment_at_a[k]));
  }

  words() {
    return this.last ? `Epoch ${this.records.length}: loss ${figures(this.last.train_loss, value => value.toPrecision(3))}, validation accuracy ${figures(this.last.validation_accuracy, value => value.toFixed(3))}.`
      : this.broken ? `${this.part(".fault").textContent}.` : "Nothing has been learnt yet.";
  }
}

const figures = (value, format) => (value === null ? "not finite" : format(value));

// the ends of the axes, from the records of all sides
function scales() {
  const losses = sides.flatMap(side => { const all = side.records.map(record => record.train_loss).filter(value => value !== null); return [...all.slice(0, 3), ...all.slice(-1)]; });
  const lowest = Math.min(0, ...sides.flatMap(side => side.cosines().flat()).filter(value => value !== null));
  return {high: Math.max(1, Math.ceil(Math.max(.5, ...losses) * 2) / 2), low: lowest < -.25 ? -1 : -.25};
}

// between two looks the angle is not known: the line goes straight on
function filled(values) {
  const known = values.map((value, i) => [i, value]).filter(([, value]) => value !== null);
  return Array.from(values, (value, i) => {
    if (value !== null) return value;
    const after = known.find(([at]) => at > i), before = known.findLast(([at]) => at < i);
    return after && before ? before[1] + (after[1] - before[1]) * (i - before[0]) / (after[0] - before[0]) : null;
  });
}

// ---------------------------------------------------------------- learning

async function reset(until = 0, words = "") {
  const mine = ++round, focused = sides.findIndex(side => side.element.contains(document.activeElement)), held = cursor;
  resetting = true;
  running = false;
  target = until;
  epochTimes = [];
  sides = [state.rule, state.rule2].filter(Boolean).map((rule, i) => new Side("ab"[i], rule));
  $("sides").className = sides.length > 1 ? "two" : "";
  $("sides").replaceChildren(...sides.map(side => side.element));
  fillForm();
  // whoever draws with the keyboard goes on drawing, although the map is a new one
  if (state.task === "points") sides.forEach(watchMap);
  if (focused >= 0 && focused < sides.length && state.task === "points") {
    sides[focused].part(".map canvas").focus({preventScroll: true});
    cursor = held;
  }
  draw();
  toAddress(until);
  controls();
  say(true, words);
  for (const side of sides) {
    try { await side.begin(); } catch (error) { if (mine === round) side.fail(error); }
    if (mine !== round) return;
  }
  resetting = false;
  draw();
  const able = sides.find(side => side.able);
  if (able) { $("lr").placeholder = able.info.settings.lr; $("model").placeholder = able.info.settings.model; }
  controls();
  say(true, words);
  if (target > 0 && able) await go(target);
}

const epochs = () => Math.max(0, ...sides.map(side => side.records.length));

async function go(until = Infinity) {
  const mine = round, already = resetting || looping === mine;
  target = until;
  if (!resetting) running = true;
  controls();
  if (already) return;
  looping = mine;
  const on = () => running && epochs() < target && sides.some(side => side.able);
  const each = async act => { for (const side of sides.filter(one => one.able)) if (mine === round) await trying(side, () => act(side)); };
  let seen = 0;
  do {
    while (on()) {
      await each(side => side.epoch());
      if (mine !== round) return;
      epochTimes.push(performance.now());
      if (performance.now() - seen > PAUSE) {
        await each(side => side.look());
        if (mine !== round) return;
        seen = performance.now();
        draw();
      }
      say();
    }
    await each(side => side.look());
    if (mine !== round) return;
  } while (on());  // somebody may have pressed Run again
  looping = 0;
  running = false;
  target = 0;
  draw();
  controls();
  toAddress(epochs());
  say(true);
  await showCode();
}

// what goes wrong on a side is told on that side, and the other one goes on
async function trying(side, act) {
  const mine = round;
  try { await act(); } catch (error) { if (mine === round) side.fail(error); }
}

// The buttons say what is true now; nothing else sets them.
function controls() {
  const goes = running || resetting && target > 0, able = resetting || sides.some(side => side.able);
  $("run").textContent = goes ? "Pause" : "Run";
  $("run").disabled = $("python").disabled = !able;
  $("step").disabled = !able || goes;
  $("reset").disabled = false;
}

function rate() {
  const now = performance.now();
  epochTimes = epochTimes.filter(time => now - time < 2000);
  return epochTimes.length > 2 ? (epochTimes.length - 1) / (epochTimes.at(-1) - epochTimes[0]) * 1000 : null;
}

function say(aloud = false, words = "") {
  const fast = running ? rate() : null, able = resetting || sides.some(side => side.able), done = epochs();
  $("say").textContent = !able ? `${done ? `epoch ${done}, ended` : "Nothing can run"}: see the sentence below`
    : done === 0 ? resetting ? "Getting ready …" : running ? "Learning …" : "Ready: press Run"
    : `epoch ${done}${fast ? `, ${fast.toFixed(0)} epochs a second` : running ? "" : ", paused"}`;
  if (aloud || running && performance.now() - spoken > ALOUD) {
    spoken = performance.now();
    const text = words || (resetting ? "" : sides.filter(side => !side.broken).map(side => `${side.rule}: ${side.words()}`).join(" "));  // a fault is an alert of its own
    if ($("aloud").textContent !== text) $("aloud").textContent = text;  // a sentence is said once
  }
}

function draw() {
  if (pending) return;
  pending = requestAnimationFrame(() => { pending = null; sides.forEach(side => side.draw()); });
}

async function showCode() {
  const texts = [];
  for (const side of sides.filter(one => one.begun)) texts.push(await python.ask("python", side.key));
  $("code").querySelector("code").textContent = texts.join("\n");
  return texts.join("\n");
}

// ---------------------------------------------------------------- own points

function ownPoints() {
  return state.points.match(/.{5}/g)?.map(text => [(Number(text.slice(1, 3)) - 50) / 20, (Number(text.slice(3)) - 50) / 20, Number(text[0])]) ?? [];
}

const place = value => String(Math.min(99, Math.max(0, Math.round(value * 20 + 50)))).padStart(2, "0");
const chosenClass = () => document.querySelector("#draw input:checked").value;

function put(x, y) {
  const text = chosenClass() + place(x) + place(y);
  if (!state.points.match(/.{5}/g)?.includes(text)) state.points += text;
  draw();
}

function watchMap(side) {
  const canvas = side.part(".map canvas");
  side.info = {range: 2.5, points: [], labels: [], classes: 2, blocks: 1, held: []};  // until there is a network
  side.view = {answers: [], pairs: [], grid: 0};
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  let drawing = false;
  const at = event => {
    const box = canvas.getBoundingClientRect();
    put(((event.clientX - box.left) / box.width * 2 - 1) * 2.5, (1 - (event.clientY - box.top) / box.height * 2) * 2.5);
  };
  canvas.onpointerdown = event => { drawing = true; running = false; controls(); canvas.setPointerCapture(event.pointerId); at(event); };
  canvas.onpointermove = event => { if (drawing && Math.hypot(event.movementX, event.movementY) > 1) at(event); };
  canvas.onpointerup = canvas.onpointercancel = () => { if (drawing) { drawing = false; reset(); } };
  canvas.onfocus = () => { cursor ??= [0, 0]; draw(); };
  canvas.onblur = () => { cursor = null; draw(); };
  canvas.onkeydown = event => {
    const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key], step = event.shiftKey ? .5 : .1;
    cursor ??= [0, 0];
    if (move) cursor = cursor.map((value, i) => Math.max(-2.5, Math.min(2.45, value + move[i] * step)));
    else if (event.key === " " || event.key === "Enter") {
      put(...cursor);
      reset(0, `Point of class ${Number(chosenClass()) + 1} at ${cursor.map(value => value.toFixed(1)).join(", ")}`);
    } else if ("1234".includes(event.key)) document.querySelectorAll("#draw input")[Number(event.key) - 1].checked = true;
    else return;
    event.preventDefault();
    draw();
  };
}

// ---------------------------------------------------------------- the page

function options(select, entries) {
  select.replaceChildren(...entries.map(([value, words]) => new Option(words, value)));
}

function wire() {
  for (const field of FIELDS) $(field).addEventListener("change", () => {
    state[field] = $(field).value.trim();
    tell("");
    reset();
  });
  $("form").onsubmit = event => event.preventDefault();
  $("run").onclick = () => {
    if (resetting) { target = target > 0 ? 0 : Infinity; controls(); } else if (running) { running = false; controls(); } else go();
  };
  $("step").onclick = () => go(resetting ? 1 : epochs() + 1);
  $("reset").onclick = () => reset();
  $("undo").onclick = () => { state.points = state.points.slice(0, -5); reset(); };
  $("clear").onclick = () => { state.points = ""; reset(); };
  const copied = (words, text) => navigator.clipboard.writeText(text).then(() => { $("say").textContent = words; }, () => { $("say").textContent = "the browser does not let this page copy: mark the text and copy it yourself"; });
  $("link").onclick = () => { toAddress(epochs()); copied("the link is copied: it leads to what you see now", location.href); };
  $("python").onclick = async () => {
    const text = await showCode();
    $("code").open = true;
    copied(`copied. ${await python.ask("same", sides.find(side => side.begun).rule)}`, text);
  };
  addEventListener("hashchange", fromAddress);
  addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

function stage({stage: at, seconds, error}) {
  if (at === "failed") {
    tell(`Python could not start: ${error}`);
  } else if (at !== "ready") $("say").textContent = `Loading ${at} …`;
  else window.playground.seconds = seconds;
}

async function main() {
  if (NO_WASM) {
    tell(NO_WASM);
    $("say").textContent = "";
    return;
  }
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch { /* no storage: the system's choice holds */ }
  catalogue = await (await fetch(new URL("catalogue.json", import.meta.url))).json();
  python = new Python(import.meta.url, {pyodide: catalogue.pyodide, wheel: catalogue.wheel, files: catalogue.files, scripts: ["page.py"]}, stage);
  if (!catalogue.pages.length) document.querySelectorAll("header p a").forEach(link => link.replaceWith(link.textContent));  // built alone
  options($("rule"), Object.keys(catalogue.rules).map(rule => [rule, rule]));
  options($("rule2"), [["", "nothing"], ...Object.keys(catalogue.rules).map(rule => [rule, rule])]);
  options($("task"), Object.entries(catalogue.tasks).map(([task, {words}]) => [task, words]));
  options($("activation"), [["", "what suits"], ...catalogue.activations.map(name => [name, name])]);
  $("form").inert = true;  // until Python has read the link
  usual = (await python.json("understood", "[]")).state;
  state = {...usual};
  $("form").inert = false;
  wire();
  await fromAddress();
}

// what tests and a curious reader ask; after Pause an epoch that has begun still runs to its end
window.playground = {ask: (...all) => python.ask(...all), sides: () => sides, running: () => running || resetting || looping === round, drawn: () => !pending, epochs, classes: CLASSES};
main();
