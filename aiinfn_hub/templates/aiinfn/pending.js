/* Follows the start of a session: which step goes on, for how long, and what is waited for. */
(() => {
  "use strict";
  const root = document.getElementById("pending");
  const rows = [...root.querySelectorAll("[data-step]")];
  const words = JSON.parse(document.getElementById("words").textContent);
  const began = new Map();
  for (const row of rows) {
    if (row.dataset.state === "now") began.set(row, Date.now() - 1000 * Number(row.dataset.elapsed));
  }
  let stopping = false;

  /** Sentences of the server have times in UTC; here they are the reader's. */
  function localTimes(text) {
    return text.replace(/\b(\d\d):(\d\d) UTC\b/g, (_, hours, minutes) => {
      const time = new Date();
      time.setUTCHours(Number(hours), Number(minutes), 0, 0);
      if (time < Date.now() - 3600000) time.setUTCDate(time.getUTCDate() + 1);
      return time.toLocaleTimeString(window.jhdata.locale, { hour: "2-digit", minute: "2-digit" });
    });
  }

  function mark(row, state) {
    if (row.dataset.state === state) return;
    row.dataset.state = state;
    row.querySelector(".af-step-state").textContent = words.states[state];
    if (state === "now") row.setAttribute("aria-current", "step");
    else row.removeAttribute("aria-current");
  }

  function follow(event) {
    const place = rows.findIndex((row) => row.dataset.step === event.step);
    if (place < 0) return;
    rows.forEach((row, index) => mark(row, index < place ? "done" : index === place ? "now" : "todo"));
    const row = rows[place];
    if (!began.has(row)) began.set(row, Date.now() - 1000 * (event.age ?? 0));
    if (event.message) {
      const message = localTimes(event.message);
      row.querySelector(".af-step-message").textContent = message;
      document.getElementById("announced").textContent = message;
    }
    tick();
  }

  function tick() {
    for (const row of rows) {
      const going = row.dataset.state === "now" && began.has(row);
      const seconds = going ? Math.max(0, Math.round((Date.now() - began.get(row)) / 1000)) : 0;
      const [form, number] = seconds < 120 ? [words.seconds, seconds] : [words.minutes, Math.floor(seconds / 60)];
      const text = form.replace("{number}", number);
      row.querySelector(".af-elapsed").textContent = going ? text : "";
    }
  }

  for (const said of root.querySelectorAll(".af-step-message")) said.textContent = localTimes(said.textContent);

  const source = new EventSource(root.dataset.progress);
  source.onmessage = (message) => {
    if (stopping) return;
    const event = JSON.parse(message.data);
    if (event.ready) {
      for (const row of rows) mark(row, "done");
      tick();
    }
    if (event.ready || event.failed) {
      /* The hub knows where to go on: to JupyterLab, or to the page that says what went wrong. */
      source.close();
      window.location.reload();
      return;
    }
    follow(event);
  };
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED && !stopping) setTimeout(() => window.location.reload(), 2000);
  };
  setInterval(tick, 1000);
  tick();

  const stop = document.getElementById("stop-server-btn");
  const problem = document.getElementById("problem");
  stop.addEventListener("click", async () => {
    stopping = true;
    stop.disabled = true;
    stop.textContent = words.stopping;
    problem.textContent = "";
    try {
      const answer = await fetch(root.dataset.server, {
        method: "DELETE",
        headers: { "X-XSRFToken": window.jhdata.xsrf_token },
      });
      if (!answer.ok) throw new Error(String(answer.status));
      window.location.assign(root.dataset.spawn);
    } catch {
      stopping = false;
      stop.disabled = false;
      stop.textContent = words.stop;
      problem.textContent = words.not_stopped;
    }
  });
})();
