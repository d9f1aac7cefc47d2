/* Keeps the choices of the session form together, says what would happen, and reads what is free. No dependencies.
   It decides in the same order as profiles.outlook() in Python, with the words that come from there. What goes with what is in
   the page as lists of positions in the selects; see form_rules.py. */
(() => {
  let root;
  let rules;
  let words;
  let cards;
  let form;
  let radios;
  let age;
  const select = (name) => root.querySelector(`select[name="${name}"]`);
  const accelerator = () => radios.find((radio) => radio.checked)?.value ?? radios[0].value;
  const fill = (text, values) => text.replace(/{(\w+)}/g, (_, word) => values[word]);
  const CHOICES = ["project", "image", "size", "count", "time_limit"];

  /** Take the form that is in the page, with some choices filled in. */
  function take(kept) {
    root = document.getElementById("aiinfn-form");
    rules = JSON.parse(document.getElementById("aiinfn-rules").textContent);
    words = rules.words;
    cards = new Map(Object.entries(rules.cards));
    form = root.closest("form");
    radios = [...root.querySelectorAll('input[name="accelerator"]')];
    age = document.getElementById("age");
    root.classList.add("af-live");
    /* "The usual one" is for a browser without scripts: here something particular is always selected. */
    for (const name of CHOICES) {
      const field = select(name);
      const usual = field?.querySelector("[data-usual]");
      if (!usual) continue;
      const chosen = field.value;
      usual.remove();
      field.value = chosen; /* nothing, if it was the usual one: settle() selects it */
    }
    root.addEventListener("change", settle);
    const tools = aiinfnTools({ root, rules, words, say, fill, apply, choice });
    tools.begin();
    const refusal = document.getElementById("refusal");
    refusal?.querySelector("a")?.addEventListener("click", (event) => {
      event.preventDefault();
      const field = root.querySelector(event.target.getAttribute("href"));
      (field.querySelector("select:not([disabled]), input:checked") ?? field).focus();
      field.scrollIntoView({ block: "center" });
    });
    const gone = kept ? apply(kept) : [];
    if (!kept) settle();
    draw();
    return gone;
  }

  /** Fill choices in. Gives those that are not there. */
  function apply(wanted) {
    const gone = [];
    const radio = radios.find((each) => each.value === wanted.accelerator);
    if (radio) radio.checked = true;
    else if (wanted.accelerator) gone.push(wanted.accelerator);
    for (const name of CHOICES) {
      const field = select(name);
      if (!field || !(name in wanted)) continue;
      if ([...field.options].some((option) => option.value === wanted[name])) field.value = wanted[name];
      else if (wanted[name]) gone.push(wanted[name]);
      /* One after the other: what may be chosen next depends on it. */
      settle();
    }
    settle();
    return gone;
  }

  /** Give what is chosen now. */
  function choice() {
    const chosen = { accelerator: accelerator() };
    for (const name of CHOICES) {
      const field = root.querySelector(`[name="${name}"]`);
      chosen[name] = field && !field.disabled ? field.value : "";
    }
    return chosen;
  }

  /** Leave only what goes together, and stay at what was chosen where that is still among it. */
  function offer(name, allowed, usual) {
    const field = select(name);
    if (!field) return;
    const among = new Set(allowed);
    [...field.options].forEach((option, place) => {
      option.disabled = option.hidden = !among.has(place);
    });
    if (!field.selectedOptions.length || field.selectedOptions[0].disabled) {
      field.selectedIndex = usual ?? allowed[0] ?? -1;
    }
  }

  /** Give what two lists have in common. */
  function common(one, other) {
    const among = new Set(rules.lists[other]);
    return rules.lists[one].filter((place) => among.has(place));
  }

  function settle() {
    const card = cards.get(accelerator());
    offer("project", rules.lists[card.projects]);
    const place = select("project")?.selectedIndex ?? 0;
    const project = rules.projects[place];
    offer("image", common(card.images, project.images));
    offer("size", common(card.sizes, project.sizes));
    const longest = Math.min(
      card.less?.[place] ?? Math.min(card.longest, project.longest),
      rules.sizes[select("size").selectedIndex] ?? Infinity,
    );
    const usual = Math.min(rules.usual, longest);
    const seconds = [...select("time_limit").options].map((option) => rules.seconds[option.value]);
    const times = seconds.flatMap((time, at) =>
      time === longest || time === usual || (time < longest && rules.times.includes(time)) ? [at] : [],
    );
    offer("time_limit", times, seconds.indexOf(usual));
    const count = select("count");
    if (count) {
      for (const option of count.options) {
        option.disabled = option.hidden = Number(option.value || 1) > card.most;
      }
      if (count.selectedOptions[0]?.disabled) count.selectedIndex = 0;
      count.disabled = card.most < 2;
    }
    tell();
    root.dispatchEvent(new Event("settled"));
  }

  /** What happens if so many of a card are asked for now: the key, and the sentence. */
  function outlook(name, count) {
    const card = cards.get(name);
    if (name === "none") return ["cpu", words.outlook.cpu];
    const now = card.availability;
    if (!now) return ["unknown", words.outlook.unknown];
    const working = now.total - now.offline;
    const needed = count - now.free;
    const end = now.next_session_end && new Date(now.next_session_end);
    const facts = {
      title: card.title,
      count,
      needed,
      working,
      left: now.free + now.batch,
      others: now.others,
      grace: words.grace,
      patience: words.patience,
      waiting: now.waiting_sessions,
      time: end ? clock(end) : "",
    };
    let key;
    let sentence;
    if (working <= 0) [key, sentence] = ["none", "none"];
    else if (working < count) [key, sentence] = ["few", "few"];
    else if (now.waiting_sessions) [key, sentence] = ["line", now.waiting_sessions === 1 ? "line" : "line-several"];
    else if (needed <= 0) [key, sentence] = ["now", count === 1 ? "now" : "now-several"];
    else if (needed <= now.batch) [key, sentence] = ["room", needed === 1 ? "room" : "room-several"];
    else if (now.others) [key, sentence] = ["wait", facts.left ? "wait-part-others" : "wait-others"];
    else [key, sentence] = ["wait", facts.left ? "wait-part" : end ? "wait-until" : "wait"];
    return [key, fill(words.outlook[sentence], facts)];
  }

  function clock(time) {
    const options = { hour: "2-digit", minute: "2-digit" };
    if (time.toDateString() !== new Date().toDateString()) options.weekday = "short";
    return time.toLocaleString(window.jhdata.locale, options);
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
      say(label.querySelector(".af-brief"), words.brief[key]);
      const figures = label.querySelector(".af-figures");
      const meter = label.querySelector(".af-meter");
      if (!now) {
        say(figures, words.noFigures);
        meter.replaceChildren();
        continue;
      }
      const rest = [
        now.batch && fill(words.batch, { count: now.batch }),
        now.sessions && fill(words.sessions, { count: now.sessions }),
        now.others && fill(words.others, { count: now.others }),
        now.waiting_sessions && fill(words.waiting, { count: now.waiting_sessions }),
        now.offline && fill(words.offline, { count: now.offline }),
      ].filter(Boolean);
      const free = document.createElement("b");
      free.textContent = fill(words.free, now);
      const text = [free.textContent, ...rest].join(" · ");
      if (figures.textContent.replace(/\s+/g, " ").trim() !== text) {
        figures.replaceChildren(free, rest.length ? ` · ${rest.join(" · ")}` : "");
      }
      if (!meter.children.length) {
        for (const part of ["free", "batch", "sessions", "others", "offline"]) {
          const bar = document.createElement("i");
          bar.className = `af-${part}`;
          meter.append(bar);
        }
      }
      [now.free, now.batch, now.sessions, now.others, now.offline].forEach((share, place) => {
        meter.children[place].style.flexGrow = share;
        meter.children[place].hidden = !share;
      });
    }
    tell();
  }

  /* Availability: while the page is seen, so often that a node that comes or goes shows within two seconds; after a failure
     less and less often, up to 30 s. */
  const USUAL = 1500;
  let delay = USUAL;
  let timer;
  let failures = 0;
  /* When the figures held, by this machine's clock, which need not agree with the server's. */
  let heldAt = null;
  /* The state of the platform file for which this page was loaded anew, and when: vkd may know it before the hub does. */
  let renewed = { version: "", at: -Infinity };

  function tellAge() {
    if (!age || heldAt === undefined) return;
    if (heldAt === null) {
      age.dataset.state = "unknown";
      say(age, words.noAnswer);
      return;
    }
    const seconds = Math.max(0, Math.round((performance.now() - heldAt) / 1000));
    age.dataset.state = seconds > 15 ? "old" : "";
    const text = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
    say(age, fill(words.age, { age: text }));
  }

  async function read() {
    timer = undefined;
    try {
      const answer = await fetch(rules.url, { cache: "no-store", signal: AbortSignal.timeout(4000) });
      if (answer.status === 401) {
        /* The ticket in this page is too old; a new page has a new one. */
        say(age, words.stale);
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
      if (reading.platform && reading.platform !== rules.version) await renew(reading.platform).catch(() => {});
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

  /** Load the form anew, because there may be other choices, and keep what is chosen. */
  async function renew(version) {
    const lately = performance.now() - renewed.at;
    if (lately < (version === renewed.version ? 10000 : 400)) return;
    renewed = { version, at: performance.now() };
    const address = new URL(location.href);
    for (const key of [...address.searchParams.keys()]) if (key.startsWith("opt-")) address.searchParams.delete(key);
    const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(10000) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("aiinfn-form");
    const data = page.getElementById("aiinfn-rules");
    if (!answer.ok || !fresh || !data) {
      say(age, words.reload);
      heldAt = undefined;
      return;
    }
    const kept = choice();
    const focused = root.contains(document.activeElement) ? document.activeElement.id : "";
    const sought = document.getElementById("find")?.value;
    for (const part of fresh.querySelectorAll(".af-notice")) part.remove();
    root.replaceWith(document.adoptNode(fresh));
    document.getElementById("aiinfn-rules").textContent = data.textContent;
    const gone = take(kept);
    const find = document.getElementById("find");
    if (find && sought) {
      find.value = sought;
      find.dispatchEvent(new Event("input"));
    }
    if (focused) document.getElementById(focused)?.focus();
    const told = [words.changed, ...gone.map((one) => fill(words.gone, { choice: one }))].join(" ");
    say(document.getElementById("told"), told);
  }

  function begin() {
    take();
    heldAt = age?.dataset.age ? performance.now() - 1000 * Number(age.dataset.age) : null;
    document.getElementById("refusal")?.focus();
    if (!rules.url || !age) return;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(timer);
      timer = undefined;
      if (document.visibilityState === "visible" && heldAt !== undefined) read();
    });
    setInterval(() => document.visibilityState === "visible" && tellAge(), 1000);
    plan();
  }

  begin();
  form?.addEventListener("submit", (event) => {
    const start = document.getElementById("start");
    if (start.getAttribute("aria-disabled") === "true") {
      event.preventDefault(); /* a double click starts one session */
      return;
    }
    start.setAttribute("aria-disabled", "true");
    start.textContent = words.starting;
  });
  /* Coming back by the browser's back button finds the page as it was left: ready to be sent again. */
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    const start = document.getElementById("start");
    start.removeAttribute("aria-disabled");
    start.textContent = words.start;
  });
})();
