// What the page asks of its server; no other host is asked.
let key = sessionStorage.getItem("key") || "";

export function setKey(value) {
  key = value.trim();
  sessionStorage.setItem("key", key);
}

/** A server that is gone has no words of its own. */
const orLost = (promise) => promise.catch(() => { throw Object.assign(new Error(), { lost: true }); });

const headers = () => (key ? { Authorization: `Bearer ${key}` } : {});

async function failure(response) {
  let message = response.statusText;
  try {
    message = (await response.json()).error.message;
  } catch {
    // not our server's error; the status has to do
  }
  return Object.assign(new Error(message || `HTTP ${response.status}`), { status: response.status });
}

export async function modelNames() {
  const response = await orLost(fetch("/v1/models", { headers: headers() }));
  if (!response.ok) throw await failure(response);
  return (await response.json()).data.map((model) => model.id);
}

/** Sends a recording and yields the events of the answer as they come. */
export async function* events(path, file, fields) {
  const form = new FormData();
  form.append("file", file, file.name || "recording.wav");
  form.append("stream", "true");
  for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
  const request = { method: "POST", headers: headers(), body: form };
  const response = await orLost(fetch(`/v1/audio/${path}`, request));
  if (!response.ok) throw await failure(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await orLost(reader.read());
    if (done) return;
    waiting += value;
    const parts = waiting.split("\n\n");
    waiting = parts.pop();
    for (const part of parts) {
      const event = JSON.parse(part.replace(/^data: /, ""));
      if (event.type === "error") throw new Error(event.error.message);
      yield event;
    }
  }
}

/** Opens a live session; `onText` gets the text of all turns so far, `onLost` says that it broke. */
export function live({ rate, model, language, onText, onLost }) {
  const protocols = ["realtime", ...(key ? [`openai-insecure-api-key.${key}`] : [])];
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/v1/realtime?intent=transcription`, protocols);
  const turns = new Map();
  const waiting = [];
  const send = (event) => socket.send(JSON.stringify(event));
  socket.onopen = () => {
    const transcription = { model, ...(language ? { language } : {}) };
    const input = { format: { type: "audio/pcm", rate }, transcription };
    send({ type: "session.update", session: { type: "transcription", audio: { input } } });
    for (const event of waiting.splice(0)) send(event);
  };
  socket.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    const name = event.type.split(".").pop();
    if (event.type.startsWith("conversation.item.input_audio_transcription")) {
      if (name === "delta") turns.set(event.item_id, (turns.get(event.item_id) || "") + event.delta);
      if (name === "completed") turns.set(event.item_id, event.transcript);
      onText([...turns.values()].filter(Boolean).join(" "));
    }
  };
  socket.onclose = onLost;
  return {
    append(pcm) {
      let text = "";
      for (const byte of new Uint8Array(pcm.buffer)) text += String.fromCharCode(byte);
      const event = { type: "input_audio_buffer.append", audio: btoa(text) };
      if (socket.readyState === WebSocket.OPEN) send(event);
      else if (socket.readyState === WebSocket.CONNECTING) waiting.push(event);
    },
    close() {
      socket.onclose = null;
      socket.close();
    },
  };
}
