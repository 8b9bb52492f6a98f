// The words of the page in English and Korean.
const WORDS = {
  en: {
    access: "API key", key: "Key", use: "Use", other: "한국어",
    inputTitle: "Say something, or choose a recording",
    privacy: "The sound goes to this server and nowhere else.",
    record: "Record", stop: "Stop", drop: "Drop a recording here, or click to choose a file",
    spoken: "Spoken language", translateTo: "Translate into", model: "Model",
    compare: "Compare with", detect: "automatic", none: "nothing",
    transcript: "Transcript", direct: "Translation, direct",
    chain: "Translation after transcribing (chain of thought)",
    editHint: "Click a time to play it; click a text to correct it.",
    onlyFirst: "only in the transcript", onlySecond: "only here",
    download: "Download:", history: "Earlier", forget: "Forget all",
    historyHint: "Kept in this browser only, without the sound.",
    listening: "Listening…", working: "Working…", done: "Done.", nothing: "Nothing was heard.",
    failed: "That did not work: ",
    noMicrophone: "The microphone cannot be used: ", wave: "Sound of the recording; click to play",
    needsKey: "This server wants an API key.", recording: "Recording",
    noServer: "The server does not answer. Try again in a moment.", again: "Transcribe again",
    liveLost: "The live text has stopped; the recording goes on.",
  },
  ko: {
    access: "API 키", key: "키", use: "사용", other: "English",
    inputTitle: "말하거나 녹음 파일을 고르세요",
    privacy: "소리는 이 서버로만 보냅니다.",
    record: "녹음", stop: "정지", drop: "녹음 파일을 여기에 놓거나 눌러서 고르세요",
    spoken: "말하는 언어", translateTo: "번역할 언어", model: "모델",
    compare: "비교할 모델", detect: "자동", none: "없음",
    transcript: "받아쓰기", direct: "바로 번역",
    chain: "받아쓴 뒤 번역 (생각의 사슬)",
    editHint: "시각을 누르면 재생하고, 글을 누르면 고칠 수 있습니다.",
    onlyFirst: "받아쓰기에만 있음", onlySecond: "여기에만 있음",
    download: "내려받기:", history: "지난 기록", forget: "모두 지우기",
    historyHint: "소리 없이 이 브라우저에만 남습니다.",
    listening: "듣고 있습니다…", working: "처리하고 있습니다…", done: "끝났습니다.",
    nothing: "들린 말이 없습니다.", failed: "실패했습니다: ",
    noMicrophone: "마이크를 쓸 수 없습니다: ", wave: "녹음의 소리, 누르면 재생합니다",
    needsKey: "이 서버에는 API 키가 필요합니다.", recording: "녹음",
    noServer: "서버가 응답하지 않습니다. 잠시 뒤 다시 해 보세요.", again: "다시 받아쓰기",
    liveLost: "실시간 글은 끊겼지만 녹음은 계속됩니다.",
  },
};

let current = localStorage.getItem("interface") || (navigator.language.startsWith("ko") ? "ko" : "en");

export const word = (name) => WORDS[current][name];
export const interfaceLanguage = () => current;

/** Names of languages come from the browser, in the interface's language. */
export function languageName(code) {
  return new Intl.DisplayNames([current], { type: "language" }).of(code);
}

export function showWords() {
  document.documentElement.lang = current;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = word(element.dataset.text);
  }
}

export function switchInterface() {
  current = current === "en" ? "ko" : "en";
  localStorage.setItem("interface", current);
  showWords();
}
