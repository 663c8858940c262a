// Python with nobackprop in a worker, so that the page never waits.  It answers one question at a time:
// {id, call, args} is answered by {id, value} or {id, error}.
const began = performance.now();
const seconds = () => (performance.now() - began) / 1000;
let python;

async function bytes(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address} cannot be loaded (${answer.status})`);
  return answer.arrayBuffer();
}

async function prepare({pyodide, wheel, files, scripts}) {
  pyodide = new URL(pyodide, location.href).href;
  postMessage({stage: "Python"});
  importScripts(pyodide + "pyodide.js");
  const early = [bytes(wheel), ...Object.values(files).map(bytes)];
  const texts = scripts.map(name => fetch(name).then(answer => answer.text()));
  const runtime = await loadPyodide({indexURL: pyodide, packages: ["numpy"]});
  postMessage({stage: "nobackprop"});
  const [code, ...data] = await Promise.all(early);
  runtime.unpackArchive(code, "wheel");
  runtime.FS.mkdirTree("/data");
  Object.keys(files).forEach((name, i) => runtime.FS.writeFile(`/data/${name}`, new Uint8Array(data[i])));
  runtime.runPython("import os; os.environ['NOBACKPROP_DATA'] = '/data'");
  for (const text of await Promise.all(texts)) runtime.runPython(text);
  python = runtime;
  postMessage({stage: "ready", seconds: seconds(), version: runtime.runPython("nb.__version__")});
}

// the last line of Python's message is the sentence; before it stands the kind of the error
const sentence = error => String(error.message ?? error).trim().split("\n").pop().replace(/^[\w.]*(Error|Diverged): /, "");

let ready;
onmessage = async ({data}) => {
  if (data.prepare) {
    ready = prepare(data.prepare);
    ready.catch(error => postMessage({stage: "failed", error: sentence(error)}));
    return;
  }
  try {
    await ready;
    const call = python.globals.get(data.call);
    try {
      postMessage({id: data.id, value: call(...data.args), seconds: seconds()});
    } finally {
      call.destroy();
    }
  } catch (error) {
    postMessage({id: data.id, error: sentence(error)});
  }
};
