// The widgets of the pages of theory: <div class="nobackprop-widget" data-widget="las-sign"></div> is filled here.
// The numbers are those of nobackprop.studies.illustrations, in one worker for all widgets of a page.  Python is loaded
// when a reader asks for it, and not before.
import {chart, style, surface} from "./drawing.js";
import {NO_WASM, Python} from "./worker-client.js";

const BLUE = "#0072B2", ORANGE = "#D55E00", GREEN = "#009E73";
const logs = values => values.map(value => (value > 0 ? Math.log10(value) : -12));
const power = value => (value === 0 ? "1" : `1e${value}`);
const counted = (n, noun) => `${n} ${noun}${n === 1 ? "" : noun.endsWith("ch") ? "es" : "s"}`;
const short = value => (value >= 1e4 || value < 1e-3 && value > 0 ? value.toExponential(1) : value.toPrecision(3));

function decades(canvas, lines, words, last = 40) {
  const all = lines.flatMap(line => line.values);
  const high = Math.min(12, Math.max(1, Math.ceil(Math.max(...all)))), low = Math.max(-12, Math.min(-1, Math.floor(Math.min(...all))));
  const step = Math.ceil((high - low) / 5), ticks = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) ticks.push({at, words: power(at)});
  chart(canvas, lines, {low, high, ticks, last, from: 0, ratio: .42, xWords: words});
}

const WIDGETS = {
  "las-sign": {
    title: "The sign of equation (21)",
    text: "A module B of LAS should come to equal the product P of the weights above it. Every step multiplies their difference: by I − ηS if the module descends its loss, by I + ηS with the sign that the paper prints. The lines are measured on the rule; what the theorem says stands below.",
    sliders: [{name: "rate", words: "rate η, as a share of 2 / λmax(S)", low: .05, high: 1.5, step: .05, value: .5, show: (v, f) => `${v.toFixed(2)}${f ? `, η = ${f.eta.toFixed(3)}` : ""}`}],
    call: "module_sign",
    draw(canvas, found) {
      const floor = values => logs(values).map(value => Math.max(value, -12));
      decades(canvas, [{values: floor(found.descends), colour: BLUE, words: "I − ηS", dash: [], format: () => ""},
        {values: floor(found.printed), colour: ORANGE, words: "I + ηS", dash: [7, 4], format: () => ""}], "step");
      return `After ${found.descends.length - 1} steps the distance from P is ${short(found.descends.at(-1))} times what it was with the sign of a descent${found.descends.at(-1) > 1 ? ": beyond 2 / λmax(S) even the descent leaves" : ""}. With the printed sign it is ${short(found.printed.at(-1))} times what it was${found.printed.length === found.descends.length ? "" : `, after ${counted(found.printed.length - 1, "step")}`}. The theorem says ${short(found.said_descends.at(-1))} and ${short(found.said_printed.at(-1))}.`;
    },
  },
  "forward-alignment": {
    title: "What the flow conserves",
    text: "Two linear layers learn by forward alignment. The weights move, the loss falls, and K = W₁Cᵀ + CW₁ᵀ − W₂ᵀW₂ stays where it is: exactly under the flow, and the better the smaller the steps are.",
    sliders: [{name: "eta", words: "size of a step η", low: -2.7, high: -.3, step: .1, value: -1.7, of: v => 10 ** v, show: v => (10 ** v).toFixed(4)}],
    call: "conserved",
    draw(canvas, found) {
      const high = Math.max(1.2, Math.min(3, Math.max(...found.K, ...found.weights)));
      chart(canvas, [{values: found.loss, colour: BLUE, words: "loss", dash: []}, {values: found.K, colour: ORANGE, words: "K moved", dash: [7, 4]},
        {values: found.weights, colour: GREEN, words: "W moved", dash: [2, 4]}], {low: 0, high, ticks: [0, .5, 1], last: found.t.length - 1, from: 0, ratio: .42, xWords: "time 3", end: ""});
      return `At the end the loss is ${short(found.loss.at(-1))} of what it was. The weights have moved by ${short(found.weights.at(-1))} of their size, and K by ${short(found.K.at(-1))} of its own. Theorem 2 promises that every step descends up to η = ${short(found.safe)}.`;
    },
  },
  "kolen-pollack": {
    title: "How weights and feedback weights meet",
    text: "W and B get the same gradients, whatever they are. Weight decay alone takes their difference D away: with plain descent D(t) = (1 − a)ᵗ D(0) for a = ηλ. With momentum 0.9 and coupled decay, D follows a recurrence, and each optimiser has its own bound on a.",
    sliders: [{name: "a", words: "a = learning rate × decay", low: .02, high: 4, step: .02, value: .1, show: v => v.toFixed(2)}],
    call: "forgetting",
    draw(canvas, found) {
      decades(canvas, [["sgd", "descent", BLUE, []], ["momentum", "heavy ball", ORANGE, [7, 4]], ["nesterov", "Nesterov", GREEN, [2, 4]]]
        .map(([name, words, colour, dash]) => ({values: logs(found[name]), colour, words, dash, format: () => ""})), "step");
      const names = {sgd: "plain descent", momentum: "the heavy ball", nesterov: "Nesterov's momentum"};
      return Object.entries(names).map(([name, words]) => `Under ${words}, D is ${short(found[name].at(-1))} of its start after ${found[name].length - 1} steps; it goes to 0 below a = ${found.bounds[name].toFixed(3)}.`).join(" ");
    },
  },
  makespan: {
    title: "How long a pipeline takes",
    text: "Each component of the network is a worker. A mini-batch visits all of them in turn, and each takes the next one when it is free. n mini-batches take the sum of all costs, and n − 1 times the largest cost.",
    sliders: [{name: "batches", words: "mini-batches n", low: 1, high: 16, step: 1, value: 6, show: v => v},
      {name: "workers", words: "workers c", low: 1, high: 8, step: 1, value: 4, show: v => v},
      {name: "slowest", words: "cost of the second worker", low: 1, high: 4, step: .5, value: 1, show: v => v.toFixed(1)}],
    call: "conveyor",
    arguments: ({batches, workers, slowest}) => ({batches, costs: Array.from({length: workers}, (_, i) => (i === 1 ? slowest : 1))}),
    draw(canvas, found) {
      const rows = found.spans.length, {pen, width, height} = surface(canvas, Math.min(.6, (40 + 30 * rows) / Math.max(canvas.clientWidth, 300))), left = 64;
      const tall = Math.min(30, (height - 28) / rows), x = t => left + t / found.makespan * (width - left - 8);
      pen.textBaseline = "middle";
      found.spans.forEach((spans, worker) => {
        pen.fillStyle = style("--soft");
        pen.textAlign = "left";
        pen.fillText(`worker ${worker + 1}`, 0, (worker + .5) * tall);
        spans.forEach(([begin, end], i) => {
          pen.globalAlpha = .35 + .5 * (i % 2);
          pen.fillStyle = [BLUE, ORANGE, GREEN][i % 3];
          pen.fillRect(x(begin) + 1, worker * tall + 2, Math.max(1, x(end) - x(begin) - 2), tall - 4);
          pen.globalAlpha = 1;
          pen.fillStyle = style("--ink");
          pen.textAlign = "center";
          if (x(end) - x(begin) > 16) pen.fillText(i + 1, (x(begin) + x(end)) / 2, (worker + .5) * tall);
        });
      });
      pen.fillStyle = style("--soft");
      pen.textAlign = "right";
      pen.fillText(`time ${found.makespan}`, width - 8, rows * tall + 12);
      return `${counted(found.spans[0].length, "mini-batch")} ${found.spans[0].length === 1 ? "takes" : "take"} ${counted(found.makespan, "unit")} of time. One worker alone takes ${found.alone}: the pipeline is ${(found.alone / found.makespan).toFixed(2)} times as fast.`;
    },
  },
};

let python = null;
const listeners = new Set();

async function start() {
  const catalogue = await (await fetch(new URL("catalogue.json", import.meta.url))).json();
  return new Python(import.meta.url, {pyodide: catalogue.pyodide, wheel: catalogue.wheel, files: {}, scripts: ["widgets.py"]},
    said => listeners.forEach(listen => listen(said)));
}

function fill(element) {
  const widget = WIDGETS[element.dataset.widget];
  if (!widget) return;
  const make = (tag, text = "") => { const made = document.createElement(tag); made.textContent = text; element.append(made); return made; };
  make("h3", widget.title);
  make("p", widget.text);
  if (NO_WASM) { make("p", NO_WASM); return; }
  const button = make("button", "Start: loads Python into this page, about 15 MB");
  const verdict = make("p");
  verdict.className = "verdict";
  verdict.setAttribute("role", "status");
  button.type = "button";
  button.onclick = async () => {
    const inputs = [], waits = () => element.dataset.ready !== "yes";
    button.remove();
    verdict.textContent = "Loading Python …";
    listeners.add(({stage, error}) => { if (stage === "failed") verdict.textContent = `Python could not start: ${error}`; else if (waits()) verdict.textContent = stage === "ready" ? "Computing …" : `Loading ${stage} …`; });
    try { await (python ??= start()); } catch (error) { verdict.textContent = error.message; return; }
    const canvas = document.createElement("canvas"), values = {};
    let found = null, asking = false, again = false;
    canvas.setAttribute("role", "img");
    const show = async () => {
      if (asking) { again = true; return; }
      asking = true;
      try {
        const given = widget.arguments ? widget.arguments(values) : values;
        found = await (await python).json("illustrate", widget.call, JSON.stringify(given));
        paint();
      } catch (error) { verdict.textContent = error.message; }
      asking = false;
      if (again) { again = false; show(); }
    };
    const paint = () => {
      if (!found) return;
      element.querySelectorAll("[hidden]").forEach(part => { part.hidden = false; });
      verdict.textContent = widget.draw(canvas, found);
      canvas.setAttribute("aria-label", verdict.textContent);
      inputs.forEach(refresh => refresh());
      element.dataset.ready = "yes";
    };
    for (const slider of widget.sliders) {
      const label = document.createElement("label"), input = document.createElement("input"), output = document.createElement("output"), words = document.createElement("span");
      words.textContent = slider.words;
      Object.assign(input, {type: "range", min: slider.low, max: slider.high, step: slider.step, value: slider.value});
      const refresh = () => { output.textContent = slider.show(Number(input.value), found); };
      const read = () => { values[slider.name] = slider.of ? slider.of(Number(input.value)) : Number(input.value); };
      input.oninput = () => { read(); refresh(); show(); };
      label.append(words, input, output);
      label.hidden = true;  // until there is a result that follows it
      verdict.before(label);
      inputs.push(refresh);
      read();
    }
    canvas.hidden = true;
    verdict.before(canvas);
    addEventListener("resize", paint);
    new MutationObserver(paint).observe(document.documentElement, {attributeFilter: ["data-theme"]});
    await show();
  };
}

const sheet = document.createElement("link");
sheet.rel = "stylesheet";
sheet.href = new URL("widgets.css", import.meta.url);
document.head.append(sheet);
document.querySelectorAll(".nobackprop-widget").forEach(fill);
