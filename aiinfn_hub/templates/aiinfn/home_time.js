/* The time that sessions have left: shown, warned of near the end, and put off without loading the page anew. */
window.sessionTimes = (home, ask, say) => {
  "use strict";
  /* The hub is asked again after a minute, and near the end more often: it may be put off elsewhere. */
  const READ_AGAIN = 60e3;
  const READ_AGAIN_NEAR = 5e3;
  const ENDED = 15e3; /* The hub looks about every ten seconds whether a session's time is over. */
  const rows = new Map();

  /* The day is said only where it is not today. */
  function clock(end) {
    const options = { hour: "2-digit", minute: "2-digit" };
    if (end.toDateString() !== new Date().toDateString()) options.weekday = "short";
    return say("at", { time: end.toLocaleTimeString(window.jhdata.locale, options) });
  }

  function spell(milliseconds) {
    const minutes = Math.max(1, Math.round(milliseconds / 60e3));
    const parts = [];
    if (milliseconds < 60e3) return `${Math.max(1, Math.round(milliseconds / 1000))} s`;
    if (minutes >= 60) parts.push(`${Math.floor(minutes / 60)} h`);
    if (minutes % 60) parts.push(`${minutes % 60} min`);
    return parts.join(" ");
  }

  for (const row of home.querySelectorAll("[data-time]")) {
    const time = row.querySelector("time");
    const end = Date.parse(time.dateTime);
    rows.set(row, {
      url: `${home.dataset.times}/${row.dataset.time}`,
      time, end,
      left: row.querySelector(".af-left"),
      box: row.querySelector(".af-ending"),
      status: row.querySelector(".af-ending p"),
      button: row.querySelector(".af-ending button"),
      /* Added to the reader's clock, it gives the hub's. */
      offset: end - row.dataset.left * 1000 - Date.now(),
      warnings: [end - Date.parse(row.dataset.warns)],
      extends: row.dataset.extends ? Date.parse(row.dataset.extends) : Infinity,
      warned: 0, view: null, read: -Infinity, asked: false,
    });
    time.textContent = clock(new Date(end));
  }

  function show(one, name) {
    const left = one.end - (Date.now() + one.offset);
    one.left.textContent = ` (${left <= 0 ? say("ending") : left < 60e3 ? say("last_minute") : say("left", { time: spell(left) })})`;
    /* Said when a warning's time comes, and not at each tick: a screen reader would repeat it. */
    const due = left > 0 ? one.warnings.filter((before) => left <= before).length : 0;
    if (due > one.warned && one.asked) {
      const refusal = one.view && one.view.refusal;
      const warning = left < 60e3 ? say("last_warning") : say("warning", { time: spell(left) });
      one.status.textContent = [warning, refusal && refusal.message].filter(Boolean).join(" ");
      one.warned = due;
    }
    one.box.classList.toggle("af-warning", due > 0 && one.warned > 0);
    const more = left > 0 && one.view && one.view.extension;
    one.button.hidden = !more;
    if (more) {
      const text = say("extend", { time: spell(more.seconds * 1000) });
      if (one.button.textContent !== text) one.button.textContent = text;
      one.button.setAttribute("aria-label", `${text}: ${name}`);
    }
    return left;
  }

  function take(one, view) {
    one.view = view;
    one.read = Date.now();
    one.offset = Date.parse(view.now) - Date.now();
    if (Date.parse(view.end) !== one.end) {
      one.end = Date.parse(view.end);
      one.time.dateTime = view.end;
      one.time.textContent = clock(new Date(one.end));
      one.warned = 0;
      one.status.textContent = "";
    }
    one.warnings = view.warnings.map((seconds) => seconds * 1000);
    one.extends = view.extends_at ? Date.parse(view.extends_at) : Infinity;
  }

  async function look(row, one) {
    const name = row.querySelector("h2").textContent;
    const left = show(one, name);
    if (left < -ENDED) return window.location.reload();
    /* Long before the end nothing can have changed, and nothing is asked. */
    const near = left <= one.warnings[0] || Date.now() + one.offset >= one.extends;
    if (!near || Date.now() - one.read < (left > READ_AGAIN ? READ_AGAIN : READ_AGAIN_NEAR)) return;
    one.read = Date.now();
    try {
      take(one, await ask("GET", one.url));
    } catch {
      /* What the page shows holds; a later look may succeed. */
    }
    one.asked = true;
    show(one, name);
  }

  const lookAtAll = () => document.visibilityState === "visible" && rows.forEach((one, row) => look(row, one));
  /* A twentieth of the time that is left, within one second and ten. */
  function tick() {
    lookAtAll();
    const left = Math.min(...[...rows.values()].map((one) => one.end - Date.now() - one.offset));
    setTimeout(tick, Math.min(10e3, Math.max(1e3, left / 20)));
  }
  if (rows.size) {
    tick();
    document.addEventListener("visibilitychange", lookAtAll);
  }

  return {
    async extend(row) {
      const one = rows.get(row);
      const problem = row.querySelector(".af-problem");
      one.button.disabled = true;
      problem.textContent = "";
      try {
        take(one, await ask("POST", one.url));
        const left = one.view.extensions_left;
        const key = left > 1 ? "extended_more" : left ? "extended_one" : "extended";
        one.status.textContent = say(key, { time: clock(new Date(one.end)), number: left });
        show(one, row.querySelector("h2").textContent);
        /* The button goes, so the focus would be lost. */
        if (one.button.hidden) one.status.focus();
      } catch (error) {
        problem.textContent = error.message;
      } finally {
        one.button.disabled = false;
      }
    },
  };
};
