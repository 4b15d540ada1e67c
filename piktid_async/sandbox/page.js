"use strict";
(() => {
  const KEY = document.querySelector('meta[name="sandbox-key"]').content;
  const FAULTS = "/_sandbox/faults";
  const MOST_EVENTS = 200;
  const at = (id) => document.getElementById(id);

  /** Make an element; whatever is shown goes in as text. */
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 2 });
  const trouble = (words) => { at("trouble").textContent = words; at("trouble").hidden = !words; };

  // Pictures never change: one that was shown is shown again, without asking for it.
  const pictures = new Map();
  const picture = (src, alt) => {
    if (!pictures.has(src)) pictures.set(src, make("img", { src, loading: "lazy", decoding: "async" }));
    const image = pictures.get(src).isConnected ? pictures.get(src).cloneNode() : pictures.get(src);
    image.alt = alt;
    return image;
  };

  /** Show a list of things by key, and touch only those that have changed. */
  const keyed = (parent, build) => {
    const known = new Map();
    return (things, key) => {
      const wanted = new Set(things.map((thing) => String(thing[key])));
      for (const [id, { element }] of known) if (!wanted.has(id)) { element.remove(); known.delete(id); }
      let before = parent.firstElementChild;
      for (const thing of things) {
        const id = String(thing[key]), text = JSON.stringify(thing), old = known.get(id);
        if (old && old.text === text) {
          if (old.element === before) before = before.nextElementSibling;
          else parent.insertBefore(old.element, before);
          continue;
        }
        if (old && old.element === before) before = before.nextElementSibling;
        if (old) old.element.remove();
        const element = build(thing);
        parent.insertBefore(element, before);
        known.set(id, { element, text });
      }
    };
  };

  const figure = (label, kind, content, href) => make("figure", { class: kind },
    href ? make("a", { href, target: "_blank", rel: "noopener" }, content) : content,
    make("figcaption", {}, label));
  const words = (text) => make("p", {}, text);

  const made = (job, output) => {
    const label = output.place, src = `/_sandbox/page/outputs/${job.job_id}/${output.number}`;
    const alt = `${output.place}, made of ${output.sources.map((source) => source.filename).join(", ") || "words"}`;
    if (output.made && output.status === "completed") return figure(label, "output", picture(src, alt), `${src}?full`);
    return figure(label, `output ${output.status}`, words(output.error || output.status));
  };
  const inputs = (sources) => sources.map((source) => {
    const src = `/_sandbox/page/uploads/${encodeURIComponent(source.file_id)}`;
    return figure("Input", "input", picture(src, source.filename), src);
  });

  const showJobs = keyed(at("jobs"), (job) => {
    const rows = new Map();
    for (const output of job.outputs) {
      const key = output.sources.map((source) => source.file_id).join();
      if (!rows.has(key)) rows.set(key, [...inputs(output.sources)]);
      rows.get(key).push(made(job, output));
    }
    const engines = [...new Set(job.outputs.map((output) => output.engine).filter(Boolean))];
    const about = [
      job.project, `${job.processed} of ${job.total}`, job.failed ? `${job.failed} failed` : null,
      `${number(job.credits)} credits`, engines.join(", ") || null,
      new Date(job.created * 1000).toLocaleTimeString("en-GB"),
    ];
    const busy = job.status === "pending" || job.status === "processing";
    return make("article", { class: "job", "data-job": job.job_id, "aria-label": `Job ${job.job_id}` },
      make("header", {}, make("h3", {}, job.kind.replaceAll("_", " ")),
        make("span", { class: `state ${job.status}` }, job.status)),
      make("p", { class: "about" }, about.filter(Boolean).join(" \u00b7 "), make("br"), make("code", {}, job.job_id)),
      job.error ? make("p", { class: "reason" }, job.error) : null,
      busy ? make("progress", { max: job.total, value: job.processed, "aria-label": "Progress" }) : null,
      ...[...rows.values()].map((row) => make("div", { class: "row" }, ...row)));
  });

  const showProjects = keyed(at("projects"), (project) => make("li", {},
    make("span", {}, project.name),
    make("span", {}, `${number(project.jobs)} job${project.jobs === 1 ? "" : "s"}`)));

  const showUploads = keyed(at("uploads"), (upload) => make("li", {},
    upload.arrived ? picture(`/_sandbox/page/uploads/${encodeURIComponent(upload.file_id)}`, "") : null,
    make("span", {}, upload.filename), upload.arrived ? null : make("span", { class: "state" }, "not here")));

  const showTotals = keyed(at("totals"), (total) => make("div", {}, make("dt", {}, total.name), make("dd", {}, total.value)));

  const showWebhook = (hook) => at("webhook").replaceChildren(hook
    ? make("div", {}, make("code", {}, hook.url), make("br"),
      `${number(hook.delivered)} delivered, ${number(hook.given_up)} given up`,
      hook.last_response_status === null ? "" : `, last answer ${hook.last_response_status}`)
    : make("span", { class: "none" }, "None is registered."));

  // Events, newest first.
  const events = new Map();
  const fate = { acknowledged: new Set(), gone: {}, delivered: new Set(), givenUp: new Set() };
  const mark = (id, event) => {
    const tags = [];
    if (fate.delivered.has(id)) tags.push(["webhook", ""]);
    if (fate.givenUp.has(id)) tags.push(["webhook gave up", "bad"]);
    if (fate.acknowledged.has(id)) tags.push(["handled", ""]);
    else if (fate.gone[id]) tags.push([fate.gone[id], "bad"]);
    const text = tags.join();
    if (event.tags === text) return;
    event.tags = text;
    event.place.replaceChildren(...tags.flatMap(([tag, kind]) => [make("span", { class: `tag ${kind}` }, tag), " "]));
  };
  const showNote = (note) => {
    if (events.has(note.id)) return;
    const data = note.data, place = make("span", { class: "tags" });
    const what = [data.status, data.total_images === undefined ? null : `${data.processed_images} of ${data.total_images}`,
      data.image_index === undefined ? null : `${data.image_index}_${data.group_index}`, data.id_task || data.job_id];
    const item = make("li", {}, make("details", {},
      make("summary", {}, make("time", {}, new Date(note.timestamp * 1000).toLocaleTimeString("en-GB")),
        make("b", {}, note.name), make("span", { class: "what" }, what.filter(Boolean).join(" \u00b7 ")), place),
      make("pre", {}, JSON.stringify(data, null, 2))));
    events.set(note.id, { item, place, tags: "" });
    mark(note.id, events.get(note.id));
    at("events").prepend(item);
    at("no-events").hidden = true;
    if (events.size > MOST_EVENTS) {
      const [oldest, event] = events.entries().next().value;
      event.item.remove();
      events.delete(oldest);
    }
  };

  // Faults.
  let options = {};
  const rows = new Map();
  const change = async (changes) => {
    try {
      const answer = await fetch(FAULTS, {
        method: "PUT", body: JSON.stringify(changes),
        headers: { "Content-Type": "application/json", "X-Sandbox-Key": KEY },
      });
      if (answer.ok) return trouble("");
      const said = await answer.json().catch(() => ({}));
      trouble(answer.status === 401 ? "The sandbox was started anew: reload this page." : said.error || `Refused with ${answer.status}.`);
    } catch {
      trouble("The sandbox does not answer.");
    }
    showFaults(options, {});
  };
  const rateless = (name) => Object.fromEntries(Object.entries(options.rates).filter(([other]) => other !== name));
  const buildFault = (name) => {
    const kind = typeof options[name] === "boolean" ? "flag" : name in options ? "number" : "none";
    const row = { kind, times: TIMES.has(name), count: make("span", { class: "count" }) };
    if (kind === "number") {
      row.number = make("input", { type: "number", min: 0, step: row.times ? 1 : "any", "aria-label": row.times ? `${name}: how many times` : name });
      row.number.addEventListener("change", () => {
        const text = row.number.value;
        change({ [name]: text === "" ? (row.times ? 0 : options[name] === null ? null : CLEARED[name] ?? 0) : Number(text) });
      });
    }
    if (kind === "flag" || row.times) {
      row.box = make("input", { type: "checkbox", role: "switch", id: `fault-${name}` });
      row.box.addEventListener("change", () => change(kind === "flag" ? { [name]: row.box.checked }
        : row.box.checked ? { rates: { ...rateless(name), [name]: 1 } } : { [name]: 0, rates: rateless(name) }));
    }
    rows.set(name, row);
    return make("div", { class: "fault" }, make("label", row.box ? { for: `fault-${name}` } : {}, name),
      row.count, row.number, row.box);
  };
  let TIMES = new Set();
  const CLEARED = { stream_cut_after_events: null, stream_cut_mid_event: null, stuck_seconds: null };
  const buildFaults = (groups) => {
    at("faults").replaceChildren(...Object.entries(groups).map(([title, names]) => make("details", { open: title === "Jobs" },
      make("summary", {}, title), ...names.map(buildFault))));
  };
  const isOn = (name, row) => row.kind === "flag" ? options[name]
    : row.times ? options[name] > 0 || options.rates[name] > 0
      : options[name] !== null && options[name] !== 0;
  const showFaults = (now, counts) => {
    options = now;
    const active = [];
    for (const [name, row] of rows) {
      const on = isOn(name, row), rate = options.rates[name];
      if (row.box) row.box.checked = on;
      if (row.number && document.activeElement !== row.number) {
        row.number.value = row.times && !options[name] ? "" : options[name] ?? "";
        row.number.placeholder = row.times ? (rate ? `${number(rate * 100)} %` : "times") : name.endsWith("events") || name.endsWith("event") ? "after" : "s";
      }
      if (name in counts) row.count.textContent = `${number(counts[name])}\u00d7`;
      if (on) active.push(name);
    }
    const off = () => {
      const changes = { rates: {} };
      for (const [name, row] of rows) changes[name] = row.kind === "flag" ? false : name in CLEARED ? null : 0;
      change(changes);
    };
    const text = active.join();
    if (at("active").dataset.text === text) return;
    at("active").dataset.text = text;
    const button = make("button", { type: "button" }, "All off");
    button.addEventListener("click", off);
    at("active").replaceChildren(...(active.length ? [...active.map((name) => make("span", {}, name)), button] : ["None is on."]));
  };
  at("faults").addEventListener("submit", (event) => event.preventDefault());

  let groups = null;
  const showStanding = (standing) => {
    const { counts, credits } = standing;
    showTotals([
      ["Jobs", counts.jobs], ["At work", counts.active], ["Projects", counts.projects], ["Uploads", counts.uploads],
      ["Credits spent", credits.charged], ["Credits left", credits.left], ["Streams open", counts.streams],
      ["Acknowledged", counts.acknowledged],
    ].map(([name, value]) => ({ name, value: number(value) })), "name");
    at("no-jobs").hidden = standing.jobs.length > 0;
    showJobs(standing.jobs, "job_id");
    showProjects(standing.projects, "key");
    showUploads(standing.uploads, "file_id");
    showWebhook(standing.webhook);
    fate.acknowledged = new Set(standing.acknowledged);
    fate.gone = standing.gone;
    fate.delivered = new Set(standing.webhook ? standing.webhook.last_delivered : []);
    fate.givenUp = new Set(standing.webhook ? standing.webhook.last_given_up : []);
    for (const [id, event] of events) mark(id, event);
    options = standing.faults.options;
    if (groups) { buildFaults(groups); groups = null; }
    showFaults(options, standing.faults.counts);
  };

  const line = (words, kind) => { at("line").textContent = words; at("line").className = kind; };
  const source = new EventSource("/_sandbox/page/events");
  source.addEventListener("hello", (event) => {
    const hello = JSON.parse(event.data);
    TIMES = new Set(hello.times);
    if (!rows.size) groups = hello.groups;
    line(location.host, "live");
  });
  source.addEventListener("note", (event) => showNote(JSON.parse(event.data)));
  source.addEventListener("standing", (event) => showStanding(JSON.parse(event.data)));
  source.addEventListener("error", () => line(
    source.readyState === EventSource.CLOSED ? "The sandbox refuses this page: reload it." : "The sandbox does not answer; trying again", "gone"));
})();
