// The report's page: its two languages, the browser of utterances, copies and downloads.

const byId = (id) => document.getElementById(id);
const dataIn = (id) => JSON.parse(byId(id).textContent);

const WORDS = dataIn("words");
const DATA = dataIn("data-records");
const CARD_PADDING = 34; // pixels of a card beside its lines
const PRINTED = 100; // utterances on paper
const HANGUL = /^[가-힣]$/; // of one width in any font
const ASCII = /^[\x20-\x7e]$/;
const EAGER_CSV = /^[=+\-@\t\r]/; // what a spreadsheet would compute

// 1. Languages of the interface.

let korean = false;

function say(key, values = {}) {
  const text = (WORDS[key] || [key, key])[korean ? 1 : 0];
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

function translate() {
  document.documentElement.lang = korean ? "ko" : "en";
  byId("language").lang = korean ? "en" : "ko";
  for (const element of document.querySelectorAll("[data-t]")) {
    const values = element.dataset.values ? JSON.parse(element.dataset.values) : {};
    element.textContent = say(element.dataset.t, values);
  }
  for (const element of document.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", say(element.dataset.tLabel));
  }
  for (const element of document.querySelectorAll("[data-t-hint]")) {
    element.placeholder = say(element.dataset.tHint);
  }
}

function remembered(value) {
  // Some browsers keep nothing for pages that are opened from disk.
  try {
    if (value !== undefined) localStorage.setItem("soritune-language", value);
    return localStorage.getItem("soritune-language");
  } catch {
    return null;
  }
}

// 2. Small helpers.

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function option(select, value, text) {
  const element = make("option", "", text);
  element.value = value;
  select.append(element);
}

function download(name, type, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function csvCell(value) {
  const text = String(value ?? "");
  const safe = typeof value === "string" && EAGER_CSV.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

const characters = (text) => Array.from(text.normalize("NFC"));

// 3. Sound: inside the page, or in files beside it.

let sounds = null;

function soundUrl(key) {
  if (DATA.sound.folder) return `${DATA.sound.folder}/${key}${DATA.sound.suffix}`;
  sounds ??= dataIn("sounds");
  return sounds[key] ? `data:${DATA.sound.type};base64,${sounds[key]}` : null;
}

function play(button, key) {
  const player = document.createElement("audio");
  player.controls = true;
  player.src = soundUrl(key);
  player.setAttribute("aria-label", button.getAttribute("aria-label"));
  button.replaceWith(player);
  for (const other of document.querySelectorAll("audio")) if (other !== player) other.pause();
  player.play().catch(() => {}); // the player shows that it cannot
}

// 4. The browser of utterances.

class Browser {
  constructor() {
    this.form = byId("filters");
    this.feed = new Feed(byId("feed"), byId("feed").firstElementChild, (item, index) => this.card(item, index));
    this.form.addEventListener("input", () => this.filter());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    byId("reset").addEventListener("click", () => this.open(this.number));
    byId("as-csv").addEventListener("click", () => this.saveCsv());
    byId("as-json").addEventListener("click", () => this.saveJson());
    byId("feed").addEventListener("keydown", (event) => {
      const button = event.key === "p" && document.activeElement.closest("article")?.querySelector(".play");
      if (button) button.click();
    });
    this.form.evaluation.addEventListener("input", (event) => {
      this.open(Number(event.target.value));
      event.stopPropagation();
    });
    window.addEventListener("hashchange", () => this.follow());
    window.addEventListener("beforeprint", () => this.print());
    window.addEventListener("afterprint", () => byId("printed").replaceChildren());
  }

  /** Show an evaluation, all of it. */
  open(number) {
    this.number = number;
    this.target = null;
    this.data = DATA.evaluations[number];
    this.fillForm();
    this.filter();
    globalThis.requestIdleCallback?.(() => this.prepareSearch()); // the first search is quick then
  }

  fillForm() {
    const { form, data } = this;
    const cases = data.cases.map((each, index) => [index, each.name]);
    const fill = (select, entries) => {
      const before = select.value;
      select.replaceChildren();
      for (const [value, text] of entries) option(select, value, text);
      if (entries.some(([value]) => String(value) === before)) select.value = before;
      else select.value = String(entries[0][0]);
    };
    form.text.value = "";
    for (const name of ["failure", "condition", "in", "right", "wrong", "sort"]) form[name].replaceChildren();
    fill(form.evaluation, DATA.evaluations.map((each, index) => [index, each.name]));
    form.evaluation.value = String(this.number);
    fill(form.in, [["", say("anyCase")], ...cases]);
    fill(form.right, [["", say("noMatter")], ...cases]);
    fill(form.wrong, [["", say("noMatter")], ...cases]);
    const counts = new Map();
    for (const each of data.cases) {
      for (const found of Object.values(each.failures)) {
        for (const name of found) counts.set(name, (counts.get(name) || 0) + 1);
      }
    }
    fill(form.failure, [
      ["", say("anyFailure")],
      ...[...counts].map(([name, count]) => [name, `${say(name)} (${count})`]),
    ]);
    fill(form.condition, [
      ["", say("anyCondition")],
      ...Object.entries(data.conditions).flatMap(([name, { groups }]) =>
        groups.map((group, index) => [`${name}/${index}`, `${say(name)}: ${group}`])),
    ]);
    fill(form.sort, [
      ["order", say("order")],
      ["worst", say("worst")],
      ...(cases.length > 1 ? [["apart", say("apart")]] : []),
      ...cases.map(([index, name]) => [index, say("mostErrors", { case: name })]),
      ["longest", say("longest")],
    ]);
  }

  /** All texts of an utterance in one, as they are searched. */
  prepareSearch() {
    const { data } = this;
    data.haystacks ??= data.ids.map((id, item) =>
      [id, data.references[item], ...data.cases.map((each) => each.texts[item])]
        .join("\n").normalize("NFC").toLowerCase());
  }

  /** Errors for each character of the reference; Infinity where there is no reference. */
  share(index, item) {
    const errors = this.data.cases[index].errors[item];
    return errors ? errors / this.data.lengths[item] : 0;
  }

  filter() {
    const { form, data } = this;
    const words = form.text.value.normalize("NFC").toLowerCase();
    if (words) {
      this.prepareSearch();
    }
    const inside = form.in.value === "" ? data.cases : [data.cases[form.in.value]];
    const failure = form.failure.value;
    const [condition, group] = form.condition.value.split("/");
    const right = data.cases[form.right.value];
    const wrong = data.cases[form.wrong.value];
    const items = [];
    for (let item = 0; item < data.ids.length; item++) {
      if (words && !data.haystacks[item].includes(words)) continue;
      if (failure && !inside.some((each) => each.failures[item]?.includes(failure))) continue;
      if (condition && data.conditions[condition].of[item] !== Number(group)) continue;
      if (right && right.errors[item] !== 0) continue;
      if (wrong && !(wrong.errors[item] > 0)) continue;
      items.push(item);
    }
    const key = this.sortKey(form.sort.value);
    if (key) {
      const keys = Float64Array.from(data.ids, (_, item) => key(item));
      items.sort((a, b) => keys[b] - keys[a] || a - b);
    }
    this.items = items;
    const numbers = { shown: items.length.toLocaleString("en"), all: data.ids.length.toLocaleString("en") };
    byId("shown").textContent = items.length ? say("shown", numbers) : say("nothingFits");
    this.feed.show(items);
  }

  sortKey(sort) {
    const all = this.data.cases.map((_, index) => index);
    if (sort === "order") return null;
    if (sort === "longest") return (item) => this.data.durations[item];
    if (sort === "worst") return (item) => Math.max(...all.map((index) => this.share(index, item)));
    if (sort === "apart") {
      return (item) => {
        const shares = all.map((index) => this.share(index, item));
        return Math.max(...shares) - Math.min(...shares);
      };
    }
    return (item) => this.share(Number(sort), item);
  }

  /** Characters of a fixed-width font that fit beside the names of the cases. */
  columnsThatFit() {
    // Measured once for a width: after a change of the page it would lay all of it out again.
    if (this.fitsIn !== this.feed.width) {
      const probe = byId("probe");
      const name = probe.previousElementSibling.getBoundingClientRect().width;
      const width = byId("feed").clientWidth - CARD_PADDING - name;
      const column = probe.getBoundingClientRect().width / 10;
      const hangul = probe.nextElementSibling.getBoundingClientRect().width / 10;
      byId("feed").style.setProperty("--beside-hangul", `${2 * column - hangul}px`);
      this.fits = Math.max(10, Math.floor(width / column) - 1);
      this.fitsIn = this.feed.width;
    }
    return this.fits;
  }

  card(item, index) {
    const { data } = this;
    const id = data.ids[item];
    const card = make("article", item === this.target ? "utterance is-target" : "utterance");
    card.tabIndex = -1;
    card.dataset.id = id;
    card.setAttribute("aria-posinset", index + 1);
    card.setAttribute("aria-setsize", this.items.length);
    const head = make("h3", "", id);
    head.id = `utterance-${item}`;
    card.setAttribute("aria-labelledby", head.id);
    const bar = make("div", "bar");
    bar.append(head, this.about(item));
    const key = data.sounds[item];
    if (key) {
      const seconds = data.durations[item].toFixed(1);
      const button = make("button", "play", `▶ ${seconds} s`);
      button.type = "button";
      button.setAttribute("aria-label", say("play", { id, seconds }));
      button.addEventListener("click", () => play(button, key));
      bar.append(button);
    }
    const link = make("a", "link", "#");
    link.href = this.hash(item);
    link.setAttribute("aria-label", say("link", { id }));
    bar.append(link);
    card.append(bar, this.spoken(item), this.lines(item), this.marks(item));
    return card;
  }

  about(item) {
    const { data } = this;
    const parts = Object.values(data.conditions).map(({ groups, of }) => groups[of[item]]);
    const shown = parts.filter((each) => each !== undefined);
    return make("span", "soft about", shown.join(" · "));
  }

  /** The texts as sentences, for those who listen to the page. */
  spoken(item) {
    const list = make("dl", "spoken");
    const add = (name, text) => {
      const said = make("dd", "", text || say("nothing"));
      if (text) said.lang = this.data.language;
      list.append(make("dt", "", name), said);
    };
    add(say("reference"), this.data.references[item]);
    for (const each of this.data.cases) {
      add(`${each.name}, ${this.errorsOf(each, item, "errorsLong")}`, each.texts[item]);
    }
    return list;
  }

  errorsOf(each, item, key) {
    const errors = each.errors[item];
    return errors === null ? say("uncounted") : say(key, { errors, length: this.data.lengths[item] });
  }

  /** Reference and cases one under the other, in as many blocks as the width needs. */
  lines(item) {
    const { data } = this;
    const texts = data.cases.map((each) => characters(each.texts[item]));
    const columns = columnsOf(characters(data.references[item]), texts);
    const blocks = make("div", "blocks");
    blocks.setAttribute("aria-hidden", "true");
    linesOf(columns, this.columnsThatFit()).forEach((line, number) => {
      const block = make("div", "block");
      block.append(this.row(say("reference"), "", line.map((each) => [each, each.reference ? "same" : "blank", each.reference])));
      data.cases.forEach((each, index) => {
        const errors = number ? "" : (each.errors[item] ?? "?");
        const cells = line.map((column) => {
          const written = column.cells[index];
          return [column, kindOf(column.reference, written), written];
        });
        block.append(this.row(each.name, errors, cells));
      });
      blocks.append(block);
    });
    return blocks;
  }

  row(name, errors, cells) {
    const row = make("div", errors === "" ? "row" : `row ${errors ? "has-errors" : "is-right"}`);
    const label = make("span", "name", name);
    label.title = name;
    row.append(label, make("span", "number", errors === "" ? "" : errors || "✓"));
    const text = make("span", "text");
    text.lang = this.data.language;
    // Most characters are right: a run of them is one element, which is quicker than one for each.
    let run = null;
    for (const [column, kind, written] of cells) {
      const wide = column.width === 2;
      if (kind === "same" && (wide ? HANGUL : ASCII).test(written)) {
        if (run?.classList.contains("wide") !== wide) run = null;
        if (!run) text.append((run = make("i", wide ? "run wide" : "run", "")));
        run.textContent += written;
        continue;
      }
      run = null;
      const shown = kind === "missing" ? "·" : kind !== "same" && written === " " ? "␣" : written;
      text.append(make("i", `cell ${kind}${wide ? " wide" : ""}`, shown || "\u00a0"));
    }
    row.append(text);
    return row;
  }

  marks(item) {
    const { data } = this;
    const marks = make("p", "marks");
    for (const each of data.cases) {
      for (const name of each.failures[item] || []) {
        marks.append(make("span", "mark", `${each.name}: ${say(name)}`), " ");
      }
      if (each.cut[item]) marks.append(make("span", "mark", `${each.name}: ${say("cut", { length: each.cut[item] })}`), " ");
    }
    return marks;
  }

  // Links.

  hash(item) {
    return `#utterance=${encodeURIComponent(this.data.name)}/${encodeURIComponent(this.data.ids[item])}`;
  }

  /** Go to the utterance that the address names. */
  follow() {
    const match = /^#utterance=([^/]*)\/(.*)$/.exec(location.hash);
    if (!match) return;
    let names;
    try {
      names = match.slice(1).map(decodeURIComponent);
    } catch {
      names = match.slice(1);
    }
    const number = DATA.evaluations.findIndex((each) => each.name === names[0]);
    const item = number < 0 ? -1 : DATA.evaluations[number].ids.indexOf(names[1]);
    if (item < 0) {
      byId("shown").textContent = say("noSuch", { id: names.join("/") });
      return;
    }
    if (number !== this.number || !this.feed.place.has(item)) this.open(number);
    this.target = item;
    this.feed.clear();
    const card = this.feed.scrollTo(this.feed.place.get(item));
    byId("browser").scrollIntoView();
    card.focus({ preventScroll: true });
  }

  // What is taken away.

  saveCsv() {
    const { data } = this;
    const head = ["id", "duration_s", ...Object.keys(data.conditions), "reference", "characters"];
    for (const { name } of data.cases) head.push(name, `${name} errors`, `${name} failures`);
    const lines = [head];
    for (const row of this.rows()) {
      const line = [row.id, row.duration_s, ...Object.values(row.conditions), row.reference, row.characters];
      for (const each of row.cases) line.push(each.text, each.errors, each.failures.join(" "));
      lines.push(line);
    }
    const text = lines.map((line) => line.map(csvCell).join(",")).join("\r\n");
    download(`${data.name}.csv`, "text/csv", `\ufeff${text}\r\n`);
  }

  saveJson() {
    download(`${this.data.name}.json`, "application/json", `${JSON.stringify(this.rows(), null, 1)}\n`);
  }

  rows() {
    const { data } = this;
    return this.items.map((item) => ({
      evaluation: data.name,
      id: data.ids[item],
      duration_s: data.durations[item],
      conditions: Object.fromEntries(
        Object.entries(data.conditions).map(([name, { groups, of }]) => [name, groups[of[item]] ?? null])),
      reference: data.references[item],
      characters: data.lengths[item],
      cases: data.cases.map((each) => ({
        case: each.name,
        text: each.texts[item],
        errors: each.errors[item],
        failures: each.failures[item] || [],
      })),
    }));
  }

  print() {
    for (const each of document.querySelectorAll("details:not([open])")) each.open = true;
    const shown = this.items.slice(0, PRINTED);
    byId("printed").replaceChildren(
      make("p", "soft", say("printed", { number: shown.length })),
      ...shown.map((item, index) => {
        const card = this.card(item, index);
        card.querySelector("h3").removeAttribute("id");
        return card;
      }));
  }
}

// 5. Begin.

const browser = DATA.evaluations.length ? new Browser() : null;

function setLanguage(toKorean) {
  korean = toKorean;
  translate();
  if (!browser) return;
  const { number } = browser;
  browser.open(number ?? 0);
}

byId("language").addEventListener("click", () => {
  setLanguage(!korean);
  remembered(korean ? "ko" : "en");
});
for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const source = byId(button.dataset.of);
    const text = source.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without permission: select it, and the old command copies it.
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    button.textContent = say("copied");
    setTimeout(() => { button.textContent = say("copy"); }, 2000);
  });
}
setLanguage((remembered() ?? navigator.language.slice(0, 2)) === "ko");
browser?.follow();
