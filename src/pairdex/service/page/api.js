// Requests to the REST interface: JSON in and out, errors as one class, the token if one is required.

const TOKEN_KEY = "pairdex-token";
const BUSY_WAITS = [0, 1000, 2000, 4000]; // milliseconds before a picture is asked for again
let askForToken = null;
let waitingForToken = null;

export class ApiError extends Error {
  constructor(status, { code, message, field }) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field;
  }
}

/** `ask(refused)` resolves to a token from the user; it is called when the service requires one. */
export function onTokenWanted(ask) {
  askForToken = ask;
}

export async function get(path, signal) {
  return (await send(path, { signal })).json();
}

export async function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return (await send(path, { method: "POST", headers, body: JSON.stringify(body), signal })).json();
}

/** Return the content of a response that is a file. */
export async function saved(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await send(path, { method: "POST", headers, body: JSON.stringify(body) })).blob();
}

/** Whether requests carry a token, so that addresses alone do not work. */
export function needsToken() {
  return sessionStorage.getItem(TOKEN_KEY) !== null;
}

/** Return an address for <img>: the path, or its content if the request needs a token. */
export async function pictureAddress(path) {
  if (!needsToken()) return path;
  return URL.createObjectURL(await (await send(path, {})).blob());
}

/** Return the address of a picture that did not load, once the service is no longer too busy; raise if it never was. */
export async function pictureAfterBusy(path) {
  for (const wait of BUSY_WAITS) {
    await new Promise((resolve) => { setTimeout(resolve, wait); });
    try {
      return URL.createObjectURL(await (await send(path, {})).blob());
    } catch (error) {
      if (error.status !== 503) throw error;
    }
  }
  throw new ApiError(503, { code: "busy", message: "the service is too busy to send the picture" });
}

async function send(path, options) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const response = await reach(path, withToken(options, token));
  if (response.ok) return response;
  const error = await explain(response);
  if (response.status !== 401) throw error;
  if (sessionStorage.getItem(TOKEN_KEY) === token) await renewToken(token !== null);
  return send(path, options);
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { code: "unreachable", message: "the service does not respond; is it still running?" });
  }
}

function withToken(options, token) {
  return token ? { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } } : options;
}

/** Ask once for a token, even if several requests are refused at the same time. */
async function renewToken(refused) {
  waitingForToken ??= askForToken(refused).finally(() => { waitingForToken = null; });
  sessionStorage.setItem(TOKEN_KEY, await waitingForToken);
}

async function explain(response) {
  try {
    return new ApiError(response.status, (await response.json()).error);
  } catch {
    return new ApiError(response.status, { code: "error", message: `the service responded with status ${response.status}` });
  }
}
