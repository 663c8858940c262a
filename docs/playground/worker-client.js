// The page's end of the worker: `ask("epoch", "a")` promises what Python's function of that name returns.
export class Python {
  constructor(base, setup, stage) {
    this.waiting = new Map();
    this.next = 0;
    this.worker = new Worker(new URL("worker.js", base));
    this.worker.onmessage = ({data}) => {
      if (data.stage) return stage(data);
      const {resolve, reject} = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error !== undefined) reject(new Error(data.error));
      else resolve(data.value === undefined ? undefined : data.value);
    };
    this.worker.onerror = event => stage({stage: "failed", error: event.message || "the worker cannot start"});
    this.worker.postMessage({prepare: setup});
  }

  ask(call, ...args) {
    return new Promise((resolve, reject) => {
      this.waiting.set(this.next, {resolve, reject});
      this.worker.postMessage({id: this.next++, call, args});
    });
  }

  async json(call, ...args) {
    return JSON.parse(await this.ask(call, ...args));
  }
}

export const NO_WASM = typeof WebAssembly === "object" ? "" : "This browser has no WebAssembly, without which Python "
  + "cannot run in it: open this page in a current Firefox, Chrome, Edge or Safari, or install nobackprop.";
