// Records the microphone as 16-bit samples, which every server can read, and passes them on live.
export const RATE = 24000;

export async function startRecording(onSamples) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  const context = new AudioContext({ sampleRate: RATE });
  await context.audioWorklet.addModule("/page/samples.js");
  const node = new AudioWorkletNode(context, "samples");
  const chunks = [];
  node.port.onmessage = ({ data }) => {
    chunks.push(data);
    onSamples(data);
  };
  context.createMediaStreamSource(stream).connect(node);
  return async function stop() {
    for (const track of stream.getTracks()) track.stop();
    await context.close();
    return new File([wav(chunks)], "recording.wav", { type: "audio/wav" });
  };
}

function wav(chunks) {
  const count = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const header = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF"); header.setUint32(4, 36 + 2 * count, true);
  text(8, "WAVEfmt "); header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); header.setUint16(22, 1, true);
  header.setUint32(24, RATE, true); header.setUint32(28, 2 * RATE, true);
  header.setUint16(32, 2, true); header.setUint16(34, 16, true);
  text(36, "data"); header.setUint32(40, 2 * count, true);
  return new Blob([header, ...chunks]);
}
