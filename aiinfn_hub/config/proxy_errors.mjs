// Loaded into configurable-http-proxy (`node --import`, see proxy.py): programs that call an API while a part of the
// platform is away read JSON that says so and when to come back, not the page for people.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const RETRY_AFTER = "3";
const LARGE = 1024 * 1024;

const AWAY = {
  reason: "unavailable",
  message: "This part of the platform does not answer now.",
  hint: "Try again in a moment. Running sessions and jobs are not affected.",
};
const LARGE_BODY = {
  reason: "too_large",
  message: "The request is too large for this service.",
  hint: "Put large values into a file.",
};

/** Whether a program asks: it says that it reads JSON, or the address is one of an API. */
function wantsJson(request) {
  const accept = request.headers.accept ?? "";
  if (/\btext\/html\b/i.test(accept)) return false;
  const place = (request.url ?? "").split("?", 1)[0];
  return /\bapplication\/(?:[\w.-]+\+)?json\b/i.test(accept) || place.includes("/api/") || place.endsWith("/api");
}

const UNREADABLE = {
  reason: "invalid",
  message: "This address cannot be read.",
  hint: "Go back and try another way.",
};

/** Whether an address is written so that nobody can say what it names: the proxy would call that its own fault. */
function readable(request) {
  try {
    decodeURIComponent((request.url ?? "").split("?", 1)[0]);
    return true;
  } catch {
    return false;
  }
}

/** Whether the service closed the connection on a body that it did not want to read. */
function cutOff(request, error) {
  return (
    ["ECONNRESET", "EPIPE"].includes(error?.code) &&
    (Number(request.headers["content-length"] ?? 0) > LARGE || request.headers["transfer-encoding"] !== undefined)
  );
}

function mend(proxy) {
  const page = proxy.handleProxyError;
  proxy.handleProxyError = function (code, kind, request, response, error) {
    if (kind === "ws" || !request || !response?.writeHead || response.headersSent) {
      return page.call(this, code, kind, request, response, error);
    }
    const unreadable = !readable(request);
    const large = code === 503 && cutOff(request, error);
    if (unreadable && !wantsJson(request)) return page.call(this, 400, kind, request, response, undefined);
    if (!wantsJson(request) && !large) {
      // Without a route there is no hub: it is starting. A 404 would be taken for an answer of it.
      if (code >= 500 || code === 404) response.setHeader?.("Retry-After", RETRY_AFTER);
      return page.call(this, code === 404 ? 503 : code, kind, request, response, error);
    }
    const problem = unreadable ? UNREADABLE : large ? LARGE_BODY : AWAY;
    const status = unreadable ? 400 : large ? 413 : code === 404 ? 503 : code;
    this.metrics?.requestsProxyCount?.labels(status).inc();
    this.log?.error("%s %s %s", status, request.method, (request.url ?? "").split("?", 1)[0]);
    const body = JSON.stringify({ ...problem, field: null });
    response.writeHead(status, {
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(body),
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
      ...(large ? { Connection: "close" } : {}),
      ...(status === 503 ? { "Retry-After": RETRY_AFTER } : {}),
    });
    response.end(body);
  };
}

// What runs may be another program of Node, for example one that starts the proxy.
if (process.argv[1] && fs.existsSync(process.argv[1])) {
  const module = path.join(path.dirname(fs.realpathSync(process.argv[1])), "..", "lib", "configproxy.js");
  if (fs.existsSync(module)) {
    const { ConfigurableProxy } = await import(pathToFileURL(module).href);
    if (ConfigurableProxy?.prototype.handleProxyError) mend(ConfigurableProxy.prototype);
  }
}
