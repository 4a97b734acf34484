// Pages that are opened as files may start no worker, and the search is one. Here a worker is a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      this.ready = new Promise((ready) => {
        frame.onload = () => {
          const inside = frame.contentWindow;
          inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
          inside.importScripts = () => Promise.resolve();
          const script = frame.contentDocument.createElement("script");
          script.src = new URL(url, document.baseURI);
          script.onload = () => ready(inside);
          frame.contentDocument.body.append(script);
        };
      });
      frame.srcdoc = "<body></body>";
      document.body.append(frame);
    }
    postMessage(data) {
      this.ready.then((inside) => inside.dispatchEvent(new inside.MessageEvent("message", { data })));
    }
  };
}
