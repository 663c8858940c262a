// What the pictures have in common.  All numbers come from Python; here they become lines and colours.
export const CLASSES = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D1F", "#5B3A8E", "#708090", "#B0A020"];
const DASHES = [[], [9, 5], [2, 4], [12, 4, 2, 4], [5, 2]];

export const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
// black, the colour of backpropagation in the figures, is the colour of the text here: the page may be dark
export const shade = colour => (colour === "#000000" ? style("--ink") : colour);

// A canvas in which one unit is one pixel of the screen: sharp on every screen.
export function surface(canvas, ratio) {
  const width = Math.max(canvas.clientWidth, 50), height = Math.round(width * ratio), scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  pen.lineJoin = "round";
  return {pen, width, height};
}

// Lines over epochs: `lines` is a list of {values, colour, words, dash, axis}; null is a gap.
export function chart(canvas, lines, {low, high, ticks, last, unit = "", ratio = .52, from = 1, xWords = "epoch", end: until = last, empty = "nothing has been learnt yet"}) {
  const {pen, width, height} = surface(canvas, ratio);
  const left = 38, right = 112, top = 10, bottom = 26;
  const x = i => left + (width - left - right) * (last > from ? i / (last - from) : 0);
  const y = v => top + (height - top - bottom) * (1 - (Math.min(Math.max(v, low), high) - low) / (high - low));
  pen.strokeStyle = style("--line");
  pen.fillStyle = style("--soft");
  pen.lineWidth = 1;
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (const tick of ticks) {
    const at = tick.at ?? tick;
    pen.beginPath(); pen.moveTo(left, y(at)); pen.lineTo(width - right, y(at)); pen.stroke();
    pen.fillText(tick.words ?? `${at}${unit}`, left - 6, y(at));
  }
  pen.textAlign = "left";
  pen.fillText(from, left, height - 10);
  pen.textAlign = "right";
  pen.fillText(`${xWords} ${until}`, width - right, height - 10);
  const ends = [];
  lines.forEach((line, k) => {
    pen.strokeStyle = pen.fillStyle = line.colour;
    pen.lineWidth = 2;
    pen.setLineDash(line.dash ?? DASHES[k % DASHES.length]);
    pen.globalAlpha = line.faint ? .55 : 1;
    pen.beginPath();
    let pause = true, end = null;
    line.values.forEach((value, i) => {
      if (value === null || value === undefined || !isFinite(value)) { pause = true; return; }
      pause ? pen.moveTo(x(i), y(value)) : pen.lineTo(x(i), y(value));
      pause = false;
      end = value;
    });
    pen.stroke();
    if (line.values.filter(v => v !== null).length === 1 && end !== null) { pen.beginPath(); pen.arc(x(0), y(end), 2.5, 0, 7); pen.fill(); }
    pen.globalAlpha = 1;
    pen.setLineDash([]);
    if (end !== null) ends.push({at: y(end), words: `${line.words} ${line.format ? line.format(end) : end.toFixed(2)}`, colour: line.colour, dash: line.dash ?? DASHES[k % DASHES.length]});
  });
  // words at the ends of the lines, moved apart
  ends.sort((a, b) => a.at - b.at);
  ends.forEach((end, i) => { end.at = Math.max(end.at, i ? ends[i - 1].at + 15 : 8); });
  for (let i = ends.length - 1; i >= 0; i--) ends[i].at = Math.min(ends[i].at, i < ends.length - 1 ? ends[i + 1].at - 15 : height - bottom);
  pen.textAlign = "left";
  for (const end of ends) {
    pen.strokeStyle = end.colour;
    pen.lineWidth = 2;
    pen.setLineDash(end.dash);
    pen.beginPath(); pen.moveTo(width - right + 4, end.at); pen.lineTo(width - right + 18, end.at); pen.stroke();
    pen.setLineDash([]);
    pen.fillStyle = style("--ink");
    pen.fillText(end.words, width - right + 22, end.at);
  }
  if (!ends.length) {
    pen.fillStyle = style("--soft");
    pen.textAlign = "center";
    pen.fillText(empty, left + (width - left - right) / 2, height / 2);
  }
}

const rgb = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));

// The answers of a network over the plane, stronger where it is surer, and the points it learns from; the hollow ones are
// those it does not learn from.
export function plane(canvas, view, info, points, cursor, larger = 1) {
  const {pen, width, height} = surface(canvas, 1);
  const n = view ? view.grid : 0;
  if (n && view.answers.length === n * n) {
    const small = new OffscreenCanvas(n, n), image = new ImageData(n, n), ground = rgb(hexOf(style("--ground")));
    view.answers.forEach((answer, i) => {
      const colour = rgb(CLASSES[answer % CLASSES.length]), share = .1 + .42 * view.sure[i] / 255;
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = ground[c] + share * (colour[c] - ground[c]);
      image.data[4 * i + 3] = 255;
    });
    small.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(small, 0, 0, width, height);
  }
  const at = (x, y) => [(x / info.range + 1) / 2 * width, (1 - y / info.range) / 2 * height];
  const size = larger * Math.max(2.4, width / 150);
  pen.lineWidth = larger;
  pen.strokeStyle = larger > 1 ? style("--ink") : style("--ground");
  points.forEach(([x, y, label, hollow]) => {
    pen.fillStyle = hollow ? style("--ground") : CLASSES[label];
    if (larger > 1) pen.strokeStyle = hollow ? CLASSES[label] : style("--ink");
    pen.beginPath();
    const [u, v] = at(x, y);
    // classes have shapes, too: not everybody tells the colours apart
    if (label === 0) pen.arc(u, v, size, 0, 7);
    else if (label === 1) pen.rect(u - size * .9, v - size * .9, 1.8 * size, 1.8 * size);
    else if (label === 2) { pen.moveTo(u, v - 1.25 * size); pen.lineTo(u + 1.15 * size, v + .85 * size); pen.lineTo(u - 1.15 * size, v + .85 * size); pen.closePath(); }
    else { pen.moveTo(u, v - 1.3 * size); pen.lineTo(u + 1.3 * size, v); pen.lineTo(u, v + 1.3 * size); pen.lineTo(u - 1.3 * size, v); pen.closePath(); }
    pen.fill();
    pen.stroke();
  });
  if (cursor) {
    const [u, v] = at(...cursor);
    pen.strokeStyle = style("--ink");
    pen.beginPath(); pen.moveTo(u - 9, v); pen.lineTo(u + 9, v); pen.moveTo(u, v - 9); pen.lineTo(u, v + 9); pen.stroke();
  }
}

function hexOf(colour) {
  return colour.length === 4 ? "#" + [...colour.slice(1)].map(c => c + c).join("") : colour;
}

// Images with the network's answers: a wrong one is framed, and says what is right.
export function pictures(canvas, images, view) {
  const across = 8, rows = Math.ceil(images.labels.length / across);
  const {pen, width} = surface(canvas, rows / across * 1.32), cell = width / across, side = cell * .8, size = images.size;
  pen.imageSmoothingEnabled = false;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  images.pixels.forEach((pixels, k) => {
    const image = new ImageData(size, size), left = (k % across + .1) * cell, top = Math.floor(k / across) * cell * 1.32 + cell * .08;
    pixels.forEach((value, i) => image.data.set([255 - value, 255 - value, 255 - value, 255], 4 * i));
    const small = new OffscreenCanvas(size, size);
    small.getContext("2d").putImageData(image, 0, 0);
    pen.drawImage(small, left, top, side, side);
    const right = view.answers[k] === images.labels[k];
    pen.strokeStyle = right ? style("--line") : style("--fault");
    pen.lineWidth = right ? 1 : 3;
    pen.strokeRect(left, top, side, side);
    pen.fillStyle = right ? style("--soft") : style("--fault");
    pen.font = `${right ? 400 : 700} ${Math.min(13, cell * .26)}px system-ui, 'DejaVu Sans', sans-serif`;
    pen.fillText(right || cell < 62 ? view.answers[k] : `${view.answers[k]}, not ${images.labels[k]}`, left + side / 2, top + side + cell * .2);
  });
}

// Pairs of matrices: above what feedback stands for, below the feedback weights; blue is negative, orange positive.
export function matrices(canvas, pairs, named) {
  const gap = 14, left = 26, shown = pairs.slice(0, 5);
  const columns = shown.length, width0 = Math.max(canvas.clientWidth, 50), edge = 6;
  const wide = Math.min((width0 - left - edge - gap * (columns - 1)) / columns, 150);
  const tall = Math.max(...shown.map(pair => pair.W.rows > pair.W.columns * 1.5 ? wide * 1.15 : pair.W.rows * 2 < pair.W.columns ? wide * .42 : wide));
  const {pen} = surface(canvas, (2 * tall + 62) / width0);
  pen.textBaseline = "middle";
  shown.forEach((pair, k) => {
    const x = left + k * (wide + gap);
    pen.fillStyle = style("--soft");
    pen.textAlign = "left";
    pen.fillText(pair.direct ? `above ${pair.block}` : wide < 40 ? named(pair).replace("block ", "").replace("output", "out") : named(pair), x, 8);
    [pair.W, pair.B].forEach((matrix, i) => heat(pen, matrix, x, 20 + i * (tall + 8), wide, tall));
    pen.fillStyle = style("--ink");
    pen.fillText(pair.angle === null ? "no angle" : `${pair.angle.toFixed(1)}°`, x, 2 * tall + 42);
  });
  pen.fillStyle = style("--ink");
  pen.textAlign = "left";
  pen.font = "italic 14px Georgia, 'DejaVu Serif', serif";
  pen.fillText("W", 4, 20 + tall / 2);
  pen.fillText("B", 4, 28 + tall * 1.5);
}

function heat(pen, matrix, x, y, width, height) {
  const image = new ImageData(matrix.columns, matrix.rows), ground = rgb(hexOf(style("--ground")));
  const low = rgb("#0072B2"), high = rgb("#D55E00");
  matrix.values.forEach((value, i) => {
    const to = value < 0 ? low : high, share = Math.sqrt(Math.abs(value) / 100);
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = ground[c] + share * (to[c] - ground[c]);
    image.data[4 * i + 3] = 255;
  });
  const small = new OffscreenCanvas(matrix.columns, matrix.rows);
  small.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, x, y, width, height);
  pen.strokeStyle = style("--line");
  pen.lineWidth = 1;
  pen.strokeRect(x, y, width, height);
}
