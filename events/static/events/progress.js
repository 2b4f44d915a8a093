"use strict";

// A job's page: asks every second how far it is, until it has ended.
(() => {
  const job = document.getElementById("events-job");
  if (!job) {
    return;
  }
  const bar = job.querySelector("progress");
  const show = (found) => {
    if (found.total !== null) {
      bar.max = found.total;
      bar.value = found.passed;
    }
    for (const place of job.querySelectorAll("[data-name]")) {
      // As text, never as markup: an outcome quotes what a receiver raised.
      place.textContent = found[place.dataset.name];
    }
  };
  const ask = async () => {
    let running = true;
    try {
      const answer = await fetch(job.dataset.progress, { headers: { Accept: "application/json" } });
      if (answer.ok) {
        const found = await answer.json();
        show(found);
        running = found.state === "running";
        if (!running && "reload" in job.dataset) {
          // What it found is on the page that the server makes.
          location.reload();
        }
      }
    } catch {
      // The server is away: the next one may be answered.
    }
    if (running) {
      setTimeout(ask, 1000);
    }
  };
  ask();
})();
