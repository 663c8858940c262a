// The playground: a form whose whole state is the address, a worker in which nobackprop learns, and pictures of it.
import {CLASSES, chart, matrices, pictures, plane, shade} from "./drawing.js";
import {NO_WASM, Python} from "./worker-client.js";

const $ = name => document.getElementById(name);
const FIELDS = ["rule", "rule2", "task", "model", "activation", "lr", "seed"];
const USUAL = {rule: "las", rule2: "", task: "spirals", model: "", activation: "", lr: "", seed: "0", epochs: "0", points: ""};
const PAUSE = 110;      // milliseconds from one picture of a network to the next
const ALOUD = 6000;     // milliseconds from one spoken sentence to the next

let catalogue, python, state = {...USUAL}, sides = [], running = false, target = 0, cursor = null;
let epochTimes = [], spoken = 0, round = 0, pending = null;

// ---------------------------------------------------------------- the address

function fromAddress() {
  const found = {...USUAL};
  new URLSearchParams(location.hash.slice(1)).forEach((value, key) => { if (key in found) found[key] = value; });
  if (!(found.rule in catalogue.rules)) found.rule = USUAL.rule;
  if (!(found.rule2 in catalogue.rules)) found.rule2 = "";
  if (!(found.task in catalogue.tasks)) found.task = USUAL.task;
  if (!catalogue.activations.includes(found.activation)) found.activation = "";
  if (!/^\d{1,18}$/.test(found.seed)) found.seed = "0";
  if (!/^\d{1,6}$/.test(found.epochs)) found.epochs = "0";
  if (!/^([0-3]\d{4})*$/.test(found.points)) found.points = "";
  return found;
}

function toAddress(epochs) {
  state.epochs = String(epochs);
  const kept = Object.entries(state).filter(([key, value]) => value !== USUAL[key] || ["rule", "task", "seed"].includes(key));
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
    this.info = await python.json("start", this.key, JSON.stringify({...state, rule: this.rule, seed: Number(state.seed), lr: state.lr === "" ? null : Number(state.lr)}));
    this.view = this.info.view;
    this.part(".parameters").textContent = this.info.parameters.toLocaleString("en");
    this.noteAngles();
  }

  fail(error) {
    this.broken = true;
    this.part(".fault").textContent = error.message;
    this.part(".fault").hidden = false;
  }

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
      this.part(".loss").textContent = last.train_loss.toPrecision(4);
      this.part(".accuracy").textContent = last.validation_accuracy.toFixed(3);
    }
    const map = this.part(".map canvas");
    if (info.range) {
      map.classList.toggle("drawn", state.task === "points");
      plane(map, view, info, state.task === "points" ? ownPoints() : info.points.map(([x, y], i) => [x, y, info.labels[i]]), cursor, state.task === "points" ? 1.7 : 1);
      this.part(".map figcaption").textContent = `What the network answers for each point of the plane, and ${state.task === "points" ? "your" : "its training"} points`;
      map.setAttribute("aria-label", state.task === "points" ? `Map of the plane with ${ownPoints().length} points of your own. ${this.words()}`
        : `Map of the plane: the network's answers, and points of ${info.classes} classes. ${this.words()}`);
    } else {
      pictures(map, info.images, view);
      const wrong = view.answers.filter((answer, i) => answer !== info.images.labels[i]).length;
      this.part(".map figcaption").textContent = `Digits that it does not learn from, with its answers: ${wrong} of ${view.answers.length} are wrong`;
      map.setAttribute("aria-label", `${view.answers.length} handwritten digits with the network's answers, ${wrong} of them wrong. ${this.words()}`);
    }
    const top = Math.max(.5, ...records.map(r => r.train_loss).slice(0, 3), ...records.map(r => r.train_loss).slice(-1));
    const high = Math.max(1, Math.ceil(top * 2) / 2);
    chart(this.part(".losses canvas"), [
      {values: records.map(r => r.train_loss), colour, words: "loss", dash: [], format: v => v.toPrecision(2)},
      {values: records.map(r => r.validation_accuracy), colour, words: "acc.", dash: [3, 4]},
    ], {low: 0, high, ticks: high > 2 ? [0, 1, high] : [0, .5, 1, ...(high > 1 ? [high] : [])], last: until});
    this.part(".losses canvas").setAttribute("aria-label", `Chart of loss and accuracy over epochs. ${this.words()}`);
    const blocks = last ? last.alignment.length : info.blocks - 1;
    const cosines = Array.from({length: blocks}, (_, k) => records.map(r => r.alignment_at_a[k] ?? r.alignment[k]));
    const lowest = Math.min(-.2, ...cosines.flat().filter(v => v !== null));
    chart(this.part(".alignment canvas"), cosines.map((values, k) => ({values, colour, words: `block ${k + 1}`})),
      {low: lowest < -.25 ? -1 : -.25, high: 1.05, ticks: lowest < -.25 ? [-1, 0, 1] : [0, .5, 1], last: until});
    this.part(".alignment canvas").setAttribute("aria-label", last ? `Alignment of the error signals: ${cosines.map((v, k) => `block ${k + 1} ${v.at(-1) === null ? "no signal" : v.at(-1).toFixed(2)}`).join(", ")}` : "Alignment of the error signals: nothing has been learnt yet");
    const [picture, turning] = this.element.querySelectorAll(".matrices canvas"), there = view.pairs.length > 0;
    picture.hidden = turning.hidden = !there;
    this.part(".matrices").style.alignSelf = "start";
    this.part(".matrices figcaption").textContent = there
      ? `${view.pairs[0].direct ? "W, the product of the weights above a block, and the feedback weights B that stand for it" : "Weights W, and the feedback weights B that stand for them"} (blue is negative), with the angle between them. At 90° they have nothing in common.`
      : `${this.rule} keeps no feedback weights that stand for weights of the network.`;
    if (there) {
      matrices(picture, view.pairs);
      chart(turning, this.angles.map((values, k) => ({values: filled(values), colour, words: `${view.pairs[k].direct ? "above" : "block"} ${view.pairs[k].block}`, format: v => `${v.toFixed(0)}°`})),
        {low: 0, high: Math.max(100, ...this.angles.flat().filter(v => v !== null)), ticks: [0, 45, 90], unit: "°", last: until, ratio: .42, from: 0});
      const said = view.pairs.map(pair => `block ${pair.block} ${pair.angle === null ? "none" : `${pair.angle.toFixed(0)} degrees`}`).join(", ");
      picture.setAttribute("aria-label", `Weight and feedback matrices. Angles: ${said}`);
      turning.setAttribute("aria-label", `Chart of the angles over epochs: ${said}`);
    }
  }

  words() {
    return this.last ? `Epoch ${this.records.length}: loss ${this.last.train_loss.toPrecision(3)}, validation accuracy ${this.last.validation_accuracy.toFixed(3)}.` : "Nothing has been learnt yet.";
  }
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

async function reset(epochs = 0) {
  const mine = ++round;
  running = false;
  target = epochs;
  epochTimes = [];
  const rules = [state.rule, ...(state.rule2 && state.rule2 !== "" ? [state.rule2] : [])];
  sides = rules.map((rule, i) => new Side("ab"[i], rule));
  $("sides").className = sides.length > 1 ? "two" : "";
  $("sides").replaceChildren(...sides.map(side => side.element));
  fillForm();
  for (const side of sides) {
    try { await side.begin(); } catch (error) { side.fail(error); }
    if (mine !== round) return;
  }
  sides.forEach(watchMap);
  draw();
  const able = sides.some(side => !side.broken);
  for (const button of ["run", "step", "reset", "python"]) $(button).disabled = !able && button !== "reset";
  toAddress(epochs);
  say();
  if (able) { $("lr").placeholder = sides.find(side => !side.broken).info.settings.lr; $("model").placeholder = sides.find(side => !side.broken).info.settings.model; }
  if (target > 0 && able) await go(target);
}

const epochs = () => Math.max(0, ...sides.map(side => side.records.length));

async function go(until = Infinity) {
  const mine = round;
  running = true;
  buttons();
  let seen = 0;
  while (running && mine === round && epochs() < until && sides.some(side => !side.broken)) {
    for (const side of sides.filter(one => !one.broken)) {
      try { await side.epoch(); } catch (error) { if (mine === round) side.fail(error); }
      if (mine !== round) return;
    }
    epochTimes.push(performance.now());
    if (performance.now() - seen > PAUSE) {
      for (const side of sides.filter(one => !one.broken)) await side.look();
      if (mine !== round) return;
      seen = performance.now();
      draw();
    }
    say();
  }
  if (mine !== round) return;
  for (const side of sides.filter(one => !one.broken)) await side.look();
  if (mine !== round) return;
  running = false;
  draw();
  buttons();
  toAddress(epochs());
  say(true);
  await showCode();
}

function buttons() {
  $("run").textContent = running ? "Pause" : "Run";
  $("step").disabled = running;
}

function rate() {
  const now = performance.now();
  epochTimes = epochTimes.filter(time => now - time < 2000);
  return epochTimes.length > 2 ? (epochTimes.length - 1) / (epochTimes.at(-1) - epochTimes[0]) * 1000 : null;
}

function say(aloud = false) {
  const fast = running ? rate() : null;
  $("say").textContent = epochs() === 0 ? "Ready: press Run" : `epoch ${epochs()}${fast ? `, ${fast.toFixed(0)} epochs a second` : running ? "" : ", paused"}`;
  if (aloud || running && performance.now() - spoken > ALOUD) {
    spoken = performance.now();
    $("aloud").textContent = sides.map(side => `${side.rule}: ${side.words()}`).join(" ");
  }
}

function draw() {
  if (pending) return;
  pending = requestAnimationFrame(() => { pending = null; sides.forEach(side => side.draw()); });
}

async function showCode() {
  const texts = [];
  for (const side of sides.filter(one => !one.broken)) texts.push(await python.ask("python", side.key));
  $("code").querySelector("code").textContent = texts.join("\n");
  return texts.join("\n");
}

// ---------------------------------------------------------------- own points

function ownPoints() {
  return state.points.match(/.{5}/g)?.map(text => [(Number(text.slice(1, 3)) - 50) / 20, (Number(text.slice(3)) - 50) / 20, Number(text[0])]) ?? [];
}

const figures = value => String(Math.min(99, Math.max(0, Math.round(value * 20 + 50)))).padStart(2, "0");
const chosenClass = () => document.querySelector("#draw input:checked").value;

function put(x, y) {
  const text = chosenClass() + figures(x) + figures(y);
  if (!state.points.match(/.{5}/g)?.includes(text)) state.points += text;
  draw();
}

function watchMap(side) {
  const canvas = side.part(".map canvas");
  if (state.task !== "points") return;
  side.info ??= {range: 2.5, points: [], labels: [], classes: 2, blocks: 1};
  side.view ??= {answers: [], pairs: [], grid: 0};
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  let drawing = false;
  const place = event => {
    const box = canvas.getBoundingClientRect();
    put(((event.clientX - box.left) / box.width * 2 - 1) * 2.5, (1 - (event.clientY - box.top) / box.height * 2) * 2.5);
  };
  canvas.onpointerdown = event => { drawing = true; running = false; canvas.setPointerCapture(event.pointerId); place(event); };
  canvas.onpointermove = event => { if (drawing && Math.hypot(event.movementX, event.movementY) > 1) place(event); };
  canvas.onpointerup = canvas.onpointercancel = () => { if (drawing) { drawing = false; reset(); } };
  canvas.onfocus = () => { cursor ??= [0, 0]; draw(); };
  canvas.onblur = () => { cursor = null; draw(); };
  canvas.onkeydown = async event => {
    const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key], step = event.shiftKey ? .5 : .1;
    cursor ??= [0, 0];
    if (move) cursor = cursor.map((value, i) => Math.max(-2.5, Math.min(2.45, value + move[i] * step)));
    else if (event.key === " " || event.key === "Enter") {
      put(...cursor);
      $("aloud").textContent = `Point of class ${Number(chosenClass()) + 1} at ${cursor.map(value => value.toFixed(1)).join(", ")}`;
      const kept = cursor;
      event.preventDefault();
      await reset();
      sides[0].part(".map canvas").focus();
      cursor = kept;
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
    const value = $(field).value.trim();
    if (field === "seed" && !/^\d{1,15}$/.test(value) || field === "lr" && value !== "" && !(Number(value) > 0)) {
      $(field).setAttribute("aria-invalid", "true");
      $("say").textContent = field === "seed" ? `the seed is ${value}, expected a whole number from 0 on` : `the learning rate is ${value}, expected a number above 0`;
      return;
    }
    $(field).removeAttribute("aria-invalid");
    state[field] = value;
    reset();
  });
  $("form").onsubmit = event => event.preventDefault();
  $("run").onclick = () => { if (running) running = false; else go(); };
  $("step").onclick = () => go(epochs() + 1);
  $("reset").onclick = () => reset();
  $("undo").onclick = () => { state.points = state.points.slice(0, -5); reset(); };
  $("clear").onclick = () => { state.points = ""; reset(); };
  const copied = (words, text) => navigator.clipboard.writeText(text).then(() => { $("say").textContent = words; }, () => { $("say").textContent = "the browser does not let this page copy: mark the text and copy it yourself"; });
  $("link").onclick = () => { toAddress(epochs()); copied("the link is copied: it leads to what you see now", location.href); };
  $("python").onclick = async () => {
    const text = await showCode();
    $("code").open = true;
    copied("copied: these lines give the same numbers in Python", text);
  };
  addEventListener("hashchange", () => { state = fromAddress(); reset(Number(state.epochs)); });
  addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

function stage({stage: at, seconds, error}) {
  if (at === "failed") {
    $("notice").textContent = `Python could not start: ${error}`;
    $("notice").hidden = false;
  } else if (at !== "ready") $("say").textContent = `Loading ${at} …`;
  else window.playground.seconds = seconds;
}

async function main() {
  if (NO_WASM) {
    $("notice").textContent = NO_WASM;
    $("notice").hidden = false;
    $("say").textContent = "";
    return;
  }
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch { /* no storage: the system's choice holds */ }
  catalogue = await (await fetch(new URL("catalogue.json", import.meta.url))).json();
  python = new Python(import.meta.url, {pyodide: catalogue.pyodide, wheel: catalogue.wheel, files: catalogue.files, scripts: ["page.py"]}, stage);
  options($("rule"), Object.keys(catalogue.rules).map(rule => [rule, rule]));
  options($("rule2"), [["", "nothing"], ...Object.keys(catalogue.rules).map(rule => [rule, rule])]);
  options($("task"), Object.entries(catalogue.tasks).map(([task, {words}]) => [task, words]));
  options($("activation"), [["", "what suits"], ...catalogue.activations.map(name => [name, name])]);
  state = fromAddress();
  wire();
  await reset(Number(state.epochs));
}

window.playground = {ask: (...all) => python.ask(...all), sides: () => sides, running: () => running, drawn: () => !pending, epochs, classes: CLASSES};
main();
