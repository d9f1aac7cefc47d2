/* The page of tokens: makes one, shows it once, and revokes those of the list. */
(() => {
  "use strict";
  const words = JSON.parse(document.getElementById("words").textContent);
  const tokens = `${window.jhdata.base_url}api/users/${encodeURIComponent(window.jhdata.user)}/tokens`;
  const problem = document.getElementById("problem");

  /* Times are the reader's. */
  for (const time of document.querySelectorAll("main time")) {
    const options = { dateStyle: "medium", timeStyle: "short" };
    time.textContent = new Date(time.dateTime).toLocaleString(window.jhdata.locale, options);
  }

  async function ask(method, url, body) {
    let answer;
    try {
      const headers = { "X-XSRFToken": window.jhdata.xsrf_token, "Content-Type": "application/json" };
      answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
    } catch {
      throw new Error(words.silent);
    }
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(said.message || words.failed.replace("{status}", answer.status));
    return said;
  }

  async function during(button, work) {
    button.disabled = true;
    problem.textContent = "";
    try {
      await work();
    } catch (error) {
      problem.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  }

  const form = document.getElementById("request-token-form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const scopes = document.getElementById("token-scopes").value.split(/[\s,]+/).filter(Boolean);
    const request = {
      note: document.getElementById("token-note").value || words.note,
      expires_in: Number(document.getElementById("token-expiration-seconds").value) || null,
      ...(scopes.length && { scopes }),
    };
    during(form.querySelector("button"), async () => {
      const made = await ask("POST", tokens, request);
      document.getElementById("token-result").textContent = made.token;
      const area = document.getElementById("token-area");
      area.hidden = false;
      area.focus();
    });
  });

  document.querySelector("main").addEventListener("click", (event) => {
    const button = event.target.closest("[data-act='revoke']");
    if (!button) return;
    const row = button.closest(".token-row");
    during(button, async () => {
      await ask("DELETE", `${tokens}/${row.dataset.tokenId}`);
      const next = (row.nextElementSibling ?? row.previousElementSibling)?.querySelector("[data-act]");
      row.remove();
      (next ?? document.getElementById("token-note")).focus();
    });
  });
})();
