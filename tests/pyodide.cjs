// Runs a Python file under Pyodide in Node: node pyodide.cjs DISTRIBUTION WHEEL FILE [DATA ...].
// DATA are files that Python finds in the folder /data.  What the file leaves in `answer` is printed.
const fs = require("fs");
const path = require("path");

const contents = file => {
  const read = fs.readFileSync(file);
  return read.buffer.slice(read.byteOffset, read.byteOffset + read.byteLength);
};

(async () => {
  const [distribution, wheel, file, ...data] = process.argv.slice(2);
  const {loadPyodide} = require(path.join(distribution, "pyodide.js"));
  const python = await loadPyodide({indexURL: distribution, packages: ["numpy"], packageCacheDir: distribution});
  python.unpackArchive(contents(wheel), "wheel");
  python.FS.mkdirTree("/data");
  for (const name of data) python.FS.writeFile("/data/" + path.basename(name), new Uint8Array(contents(name)));
  python.runPython(fs.readFileSync(file, "utf8"));
  process.stdout.write(python.globals.get("answer"));
})().catch(error => { console.error(String(error)); process.exit(1); });
