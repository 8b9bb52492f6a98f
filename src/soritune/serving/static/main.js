// The page: what happens on a click, and what is shown.
import { events, live, modelNames, setKey } from "./api.js";
import { RATE, startRecording } from "./recorder.js";
import { clock, differences, written } from "./texts.js";
import { drawWave } from "./wave.js";
import { interfaceLanguage, languageName, showWords, switchInterface, word } from "./words.js";

const LANGUAGES = ["ko", "en", "ja", "zh", "de", "fr", "es", "it", "pt", "ru", "vi", "th", "id"];
const MOST_REMEMBERED = 30;
const $ = (id) => document.getElementById(id);
const state = { file: null, segments: [], texts: {}, stop: null, run: 0, said: [""] };

function fill(select, options) {
  const before = select.value;
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  if (options.some(([value]) => value === before)) select.value = before;
}

function showChoices() {
  $("interface").textContent = word("other");
  $("interface").lang = interfaceLanguage() === "en" ? "ko" : "en";
  $("record-label").textContent = word(state.stop ? "stop" : "record");
  $("wave").setAttribute("aria-label", word("wave"));
  const names = LANGUAGES.map((code) => [code, languageName(code)]);
  fill($("language"), [["", word("detect")], ...names]);
  fill($("to"), [["", word("none")], ...names]);
}

/** Says the words of that name, and `detail` after them; again when the interface's language changes. */
function say(name, bad = false, detail = "") {
  state.said = [name, bad, detail];
  $("status").textContent = name && word(name) + detail;
  $("status").classList.toggle("bad", bad);
}

function fail(error) {
  if (error.status === 401) {
    $("access").open = true;
    say("needsKey", true);
  } else if (error.lost) say("noServer", true);
  else say("failed", true, error.message);
}

async function loadModels() {
  try {
    const names = (await modelNames()).map((name) => [name, name]);
    fill($("model"), names);
    fill($("compare"), [["", word("none")], ...names]);
    $("compare-option").hidden = names.length < 2;
    say("");
  } catch (error) {
    fail(error);
  }
}

// --- recording -------------------------------------------------------------------------------

async function toggleRecording() {
  if (state.stop) {
    const stop = state.stop;
    state.stop = null;
    showRecording(false);
    await transcribe(await stop());
    return;
  }
  $("live").hidden = false;
  $("live").textContent = "";
  let lost = false;
  const session = live({
    rate: RATE,
    model: $("model").value,
    language: $("language").value,
    onText: (text) => { $("live").textContent = text; },
    onLost: () => {
      lost = true;
      if (state.stop) say("liveLost", true);
    },
  });
  try {
    const stop = await startRecording((samples) => session.append(samples));
    state.stop = async () => {
      const file = await stop();
      session.close();
      $("live").hidden = true;
      return file;
    };
    showRecording(true);
    say(lost ? "liveLost" : "listening", lost);
  } catch (error) {
    session.close();
    say("noMicrophone", true, error.message);
  }
}

function showRecording(on) {
  $("record").setAttribute("aria-pressed", String(on));
  $("record-label").textContent = word(on ? "stop" : "record");
}

// --- asking ----------------------------------------------------------------------------------

async function transcribe(file) {
  const run = ++state.run; // a newer recording makes this one's answers unwanted
  Object.assign(state, { file, segments: [], texts: {} });
  showResult(file.name, true);
  $("player").src = URL.createObjectURL(file);
  showSegments();
  showTexts();
  say("working");
  $("result").scrollIntoView({ block: "nearest" });
  const [language, to, model] = [$("language").value, $("to").value, $("model").value];
  const translation = { language, model, to_language: to };
  const asked = [ask(run, "transcript", "transcriptions", { language, model })];
  if ($("compare").value) {
    asked.push(ask(run, "other", "transcriptions", { language, model: $("compare").value }));
  }
  if (to) {
    asked.push(ask(run, "direct", "translations", translation));
    asked.push(ask(run, "chain", "translations", { ...translation, chain_of_thought: "true" }));
  }
  const results = await Promise.allSettled(asked);
  if (run !== state.run) return;
  const names = Object.keys(state.texts);
  results.forEach(({ reason }, index) => {
    if (reason) state.texts[names[index]].problem = reason.lost ? word("noServer") : reason.message;
  });
  if (results[0].reason) fail(results[0].reason);
  else say(state.segments.length ? "done" : "nothing");
  showTexts(); // what else failed, such as a translation that the model has not, says so in its place
  remember();
}

async function ask(run, name, path, fields) {
  state.texts[name] = { text: "", source: "" };
  for await (const event of events(path, state.file, fields)) {
    if (run !== state.run) return;
    const shown = state.texts[name];
    if (event.type === "transcript.text.delta") shown.text += event.delta;
    if (event.type === "transcript.text.segment" && name === "transcript") {
      state.segments.push({ start: event.start, end: event.end, text: event.text });
      showSegments();
    }
    if (event.type === "transcript.text.done") {
      shown.text = event.text;
      shown.source = event.transcript || "";
    }
    showTexts();
  }
}

// --- showing ---------------------------------------------------------------------------------

/** Shows the card of a recording; an earlier one has no sound. */
function showResult(name, sound) {
  $("result").hidden = false;
  $("result-title").textContent = name;
  $("wave").hidden = $("player").hidden = $("again").hidden = !sound;
}

function showTexts() {
  const { transcript, other, direct, chain } = state.texts;
  for (const name of ["other", "direct", "chain"]) $(name).hidden = !state.texts[name];
  $("translations").hidden = !direct && !chain;
  if (transcript && !state.segments.length) {
    const item = document.createElement("li");
    item.append(document.createElement("span"), transcript.text);
    $("segments").replaceChildren(...(transcript.text ? [item] : []));
  }
  for (const [name, found] of Object.entries({ direct, chain, other })) {
    $(`${name}-text`).textContent = found?.text || found?.problem || "";
    $(`${name}-text`).classList.toggle("bad", Boolean(found?.problem && !found.text));
  }
  if (chain) $("chain-source").textContent = chain.source;
  if (other) {
    $("other-title").textContent = $("compare").value;
  }
  if (other?.text) {
    const whole = state.segments.map((segment) => segment.text).join(" ");
    const pieces = differences(whole, other.text).map(([kind, text]) => {
      const element = document.createElement(kind === "same" ? "span" : kind);
      element.textContent = text;
      return element;
    });
    $("other-text").replaceChildren(...pieces);
  }
}

function showSegments() {
  $("segments").replaceChildren(...state.segments.map((segment, index) => {
    const item = document.createElement("li");
    const time = document.createElement("button");
    time.type = "button";
    time.textContent = clock(segment.start);
    time.onclick = () => play(segment.start);
    const text = document.createElement("div");
    text.contentEditable = "plaintext-only";
    text.setAttribute("role", "textbox");
    text.setAttribute("aria-label", `${word("transcript")} ${index + 1}`);
    text.textContent = segment.text;
    text.oninput = () => { segment.text = text.textContent; };
    text.onblur = () => { showTexts(); remember(); };
    item.append(time, text);
    return item;
  }));
  redraw();
}

function redraw() {
  if (state.file) drawWave($("wave"), state.file, state.segments, $("player").currentTime);
}

function play(seconds) {
  $("player").currentTime = seconds;
  $("player").play();
}

function follow() {
  const now = $("player").currentTime;
  [...$("segments").children].forEach((item, index) => {
    const segment = state.segments[index];
    item.classList.toggle("now", Boolean(segment) && segment.start <= now && now < segment.end);
  });
  redraw();
}

function download(format) {
  const { direct, chain } = state.texts;
  const whole = { file: state.file?.name, translation: direct?.text, chain_of_thought: chain?.text };
  const content = new Blob([written(format, state.segments, whole)]);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = `${(state.file?.name || word("recording")).replace(/\.[^.]*$/, "")}.${format}`;
  link.click();
  URL.revokeObjectURL(link.href);
}

// --- earlier ---------------------------------------------------------------------------------

const remembered = () => JSON.parse(localStorage.getItem("history") || "[]");

function remember() {
  if (!state.segments.length || !state.file) return;
  const entry = { run: state.run, at: Date.now(), name: state.file.name, segments: state.segments, texts: state.texts };
  const others = remembered().filter((each) => each.run !== state.run || Date.now() - each.at > 3.6e6);
  localStorage.setItem("history", JSON.stringify([entry, ...others].slice(0, MOST_REMEMBERED)));
  showHistory();
}

function showHistory() {
  const entries = remembered();
  $("past").hidden = !entries.length;
  $("history").replaceChildren(...entries.map((entry) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    const text = entry.segments.map((segment) => segment.text).join(" ");
    button.textContent = `${entry.name} · ${text.slice(0, 120)}`;
    button.onclick = () => reopen(entry);
    item.append(button);
    return item;
  }));
}

function reopen(entry) {
  state.run++;
  Object.assign(state, { file: null, segments: entry.segments, texts: entry.texts });
  showResult(entry.name, false);
  $("player").removeAttribute("src");
  showSegments();
  showTexts();
  $("result").scrollIntoView();
}

// --- start -----------------------------------------------------------------------------------

$("record").onclick = toggleRecording;
$("file").onchange = ({ target }) => {
  if (target.files[0]) transcribe(target.files[0]);
  target.value = "";
};
for (const kind of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) transcribe(event.dataTransfer.files[0]);
  });
}
$("wave").onclick = (event) => {
  const share = event.offsetX / $("wave").clientWidth;
  if ($("player").duration) play(share * $("player").duration);
};
$("player").ontimeupdate = follow;
addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
for (const button of document.querySelectorAll("[data-format]")) {
  button.onclick = () => download(button.dataset.format);
}
$("interface").onclick = () => {
  switchInterface();
  showChoices();
  showHistory();
  say(...state.said);
};
$("key-form").onsubmit = (event) => {
  event.preventDefault();
  setKey($("key").value);
  $("access").open = false;
  loadModels();
};
$("again").onclick = () => transcribe(state.file);
$("forget").onclick = () => {
  localStorage.removeItem("history");
  showHistory();
};
showWords();
showChoices();
showHistory();
loadModels();
