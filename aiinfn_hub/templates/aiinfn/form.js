/* Keeps the choices of the session form together, says what would happen, and reads what is free. No dependencies.
   It decides in the same order as profiles.outlook() in Python, with the words that come from there. */
(() => {
  "use strict";
  const root = document.getElementById("aiinfn-form");
  const rules = JSON.parse(document.getElementById("aiinfn-rules").textContent);
  const cards = new Map(Object.entries(rules.cards));
  const form = root.closest("form");
  const radios = [...root.querySelectorAll('input[name="accelerator"]')];
  const select = (name) => root.querySelector(`select[name="${name}"]`);
  const accelerator = () => radios.find((radio) => radio.checked)?.value ?? radios[0].value;
  root.classList.add("af-live");

  /* "The usual one" is for a browser without scripts: here something particular is always selected. */
  for (const name of ["project", "image", "size", "time_limit"]) {
    const field = select(name);
    const usual = field?.querySelector("[data-usual]");
    if (!usual) continue;
    const chosen = field.value;
    usual.remove();
    field.value = chosen; /* nothing, if it was the usual one: settle() selects it */
  }

  /** Leave only what goes together, and stay at what was chosen where that is still among it. */
  function offer(name, allowed, usual) {
    const field = select(name);
    if (!field) return;
    for (const option of field.options) {
      option.disabled = option.value !== "" && !allowed.includes(option.value);
      option.hidden = option.disabled;
    }
    if (!field.selectedOptions.length || field.selectedOptions[0].disabled) {
      field.value = usual ?? allowed[0] ?? "";
    }
  }

  function settle() {
    const card = cards.get(accelerator());
    offer("project", Object.keys(card.projects));
    const project = select("project")?.value ?? root.querySelector('input[name="project"]').value;
    offer("image", card.projects[project] ?? []);
    offer("size", card.sizes[project] ?? []);
    const longest = card.shorter[project]?.[select("size").value] ?? Infinity;
    const times = card.times.filter((time) => rules.seconds[time] <= longest);
    const usual = times.findLast((time) => rules.seconds[time] <= rules.seconds[card.usual]) ?? times[0];
    offer("time_limit", times, usual);
    if (!select("time_limit").value) select("time_limit").value = usual;
    const count = select("count");
    if (count) {
      for (const option of count.options) {
        option.disabled = option.hidden = Number(option.value || 1) > card.most;
      }
      if (count.selectedOptions[0]?.disabled) count.selectedIndex = 0;
      count.disabled = card.most < 2;
    }
    tell();
  }

  /** What happens if so many of a card are asked for now: the key, and the sentence. */
  function outlook(name, count) {
    const card = cards.get(name);
    if (name === "none") return ["cpu", rules.words.cpu];
    const now = card.availability;
    if (!now) return ["unknown", rules.words.unknown];
    const working = now.total - now.offline;
    const needed = count - now.free;
    const end = now.next_session_end && new Date(now.next_session_end);
    const words = {
      title: card.title,
      count,
      needed,
      working,
      left: now.free + now.batch,
      grace: rules.grace,
      patience: rules.patience,
      waiting: `${now.waiting_sessions} session${now.waiting_sessions > 1 ? "s are" : " is"}`,
      time: end ? clock(end) : "",
    };
    let key;
    let sentence;
    if (working <= 0) [key, sentence] = ["none", "none"];
    else if (working < count) [key, sentence] = ["few", "few"];
    else if (now.waiting_sessions) [key, sentence] = ["line", "line"];
    else if (needed <= 0) [key, sentence] = ["now", count === 1 ? "now" : "now-several"];
    else if (needed <= now.batch) [key, sentence] = ["room", needed === 1 ? "room" : "room-several"];
    else [key, sentence] = ["wait", words.left ? "wait-part" : end ? "wait-until" : "wait"];
    return [key, rules.words[sentence].replace(/{(\w+)}/g, (_, word) => words[word])];
  }

  function clock(time) {
    const options = { hour: "2-digit", minute: "2-digit" };
    if (time.toDateString() !== new Date().toDateString()) options.weekday = "short";
    return time.toLocaleString([], options);
  }

  /** Change a text only if it differs, so that a screen reader speaks of changes alone. */
  function say(element, text) {
    if (element && element.textContent !== text) element.textContent = text;
  }

  function tell() {
    const name = accelerator();
    const card = cards.get(name);
    const count = Number(select("count")?.value || 1);
    const chosen = document.getElementById("chosen");
    chosen.hidden = false;
    say(chosen, count > 1 && card.most > 1 ? `${count} × ${card.title}` : card.title);
    const [key, sentence] = outlook(name, count);
    const target = document.getElementById("outlook");
    target.dataset.outlook = key;
    say(target, sentence);
  }

  function draw() {
    for (const label of root.querySelectorAll("[data-card]")) {
      const name = label.dataset.card;
      if (name === "none") continue;
      const now = cards.get(name).availability;
      const [key] = outlook(name, 1);
      label.dataset.outlook = key;
      say(label.querySelector(".af-brief"), rules.brief[key]);
      const figures = label.querySelector(".af-figures");
      const meter = label.querySelector(".af-meter");
      if (!now) {
        say(figures, "Availability unknown");
        meter.replaceChildren();
        continue;
      }
      const rest = [
        now.batch && `${now.batch} in batch`,
        now.sessions && `${now.sessions} in sessions`,
        now.waiting_sessions && `${now.waiting_sessions} waiting`,
        now.offline && `${now.offline} offline`,
      ].filter(Boolean);
      const free = document.createElement("b");
      free.textContent = `${now.free} of ${now.total} free`;
      const text = [free.textContent, ...rest].join(" · ");
      if (figures.textContent.replace(/\s+/g, " ").trim() !== text) {
        figures.replaceChildren(free, rest.length ? ` · ${rest.join(" · ")}` : "");
      }
      if (!meter.children.length) {
        for (const part of ["free", "batch", "sessions", "offline"]) {
          const bar = document.createElement("i");
          bar.className = `af-${part}`;
          meter.append(bar);
        }
      }
      [now.free, now.batch, now.sessions, now.offline].forEach((share, place) => {
        meter.children[place].style.flexGrow = share;
        meter.children[place].hidden = !share;
      });
    }
    tell();
  }

  /* Availability: while the page is seen, so often that a node that comes or goes shows within two seconds; after a failure
     less and less often, up to 30 s. */
  const age = document.getElementById("age");
  const USUAL = 1500;
  let delay = USUAL;
  let timer;
  let failures = 0;
  /* When the figures held, by this machine's clock, which need not agree with the server's. */
  let heldAt = age?.dataset.age ? performance.now() - 1000 * Number(age.dataset.age) : null;

  function tellAge() {
    if (!age || heldAt === undefined) return;
    if (heldAt === null) {
      age.dataset.state = "unknown";
      say(age, "Availability unknown: the delegation service does not answer");
      return;
    }
    const seconds = Math.max(0, Math.round((performance.now() - heldAt) / 1000));
    age.dataset.state = seconds > 15 ? "old" : "";
    const text = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
    say(age, `Availability read ${text} ago`);
  }

  async function read() {
    timer = undefined;
    try {
      const answer = await fetch(rules.url, { cache: "no-store", signal: AbortSignal.timeout(4000) });
      if (answer.status === 401) {
        /* The ticket in this page is too old; a new page has a new one. */
        say(age, "Load this page again to see what is free now");
        age.dataset.state = "old";
        heldAt = undefined;
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const reading = await answer.json();
      for (const [name, card] of cards) {
        card.availability = reading.accelerators.find((entry) => entry.accelerator === name) ?? null;
      }
      heldAt = performance.now() - 1000 * reading.age;
      delay = USUAL;
      failures = 0;
    } catch {
      failures += 1;
      if (failures > 1) {
        /* Once may be a hiccup of the network; then the age of the figures tells. */
        for (const card of cards.values()) card.availability = null;
        heldAt = null;
      }
      delay = Math.min(delay * 1.6, 30000);
    }
    draw();
    tellAge();
    plan();
  }

  function plan() {
    if (timer === undefined && heldAt !== undefined && document.visibilityState === "visible") timer = setTimeout(read, delay);
  }

  if (rules.url && age) {
    document.addEventListener("visibilitychange", () => {
      clearTimeout(timer);
      timer = undefined;
      if (document.visibilityState === "visible" && heldAt !== undefined) read();
    });
    setInterval(() => document.visibilityState === "visible" && tellAge(), 1000);
    plan();
  }

  root.addEventListener("change", settle);
  form?.addEventListener("submit", (event) => {
    const start = document.getElementById("start");
    if (start.getAttribute("aria-disabled") === "true") {
      event.preventDefault(); /* a double click starts one session */
      return;
    }
    start.setAttribute("aria-disabled", "true");
    start.textContent = "Starting…";
  });
  /* Coming back by the browser's back button finds the page as it was left: ready to be sent again. */
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    const start = document.getElementById("start");
    start.removeAttribute("aria-disabled");
    start.textContent = "Start";
  });

  settle();
  draw();
  const refusal = document.getElementById("refusal");
  refusal?.querySelector("a")?.addEventListener("click", (event) => {
    event.preventDefault();
    const field = root.querySelector(event.target.getAttribute("href"));
    (field.querySelector("select:not([disabled]), input:checked") ?? field).focus();
    field.scrollIntoView({ block: "center" });
  });
  refusal?.focus();
})();
