/* The sessions of one's projects: each button stops the session of its own row. */
(() => {
  "use strict";
  const list = document.getElementById("project-sessions");
  const words = JSON.parse(document.getElementById("words").textContent);

  /* The day is said only where it is not today. */
  for (const time of list.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    const options = { hour: "2-digit", minute: "2-digit" };
    if (moment.toDateString() !== new Date().toDateString()) options.weekday = "short";
    time.textContent = moment.toLocaleTimeString(window.jhdata.locale, options);
  }

  list.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-act]");
    if (!button) return;
    const row = button.closest(".af-session");
    const { user, server } = row.dataset;
    if (!window.confirm(words.ask.replace("{user}", () => user))) return;
    const problem = row.querySelector(".af-problem");
    button.disabled = true;
    problem.textContent = "";
    try {
      const answer = await fetch(`${list.dataset.api}/${encodeURIComponent(user)}/${encodeURIComponent(server)}`, {
        method: "DELETE",
        headers: { "X-XSRFToken": window.jhdata.xsrf_token },
      });
      if (answer.ok) return window.location.reload();
      const said = await answer.json().catch(() => ({}));
      problem.textContent = said.message || words.failed.replace("{status}", answer.status);
    } catch {
      problem.textContent = words.silent;
    }
    button.disabled = false;
  });
})();
