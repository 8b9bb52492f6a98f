// Draws the sound with its segments; a click plays from there.
export async function drawWave(canvas, file, segments, position) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const peaks = canvas.peaks?.file === file ? canvas.peaks : await measured(file);
  canvas.peaks = peaks;
  const scale = devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * scale;
  canvas.height = 96 * scale;
  const pen = canvas.getContext("2d");
  const middle = canvas.height / 2;
  const x = (seconds) => (seconds / (peaks.duration || 1)) * canvas.width;
  pen.fillStyle = colour("--speech");
  for (const { start, end } of segments) pen.fillRect(x(start), 0, Math.max(x(end) - x(start), 1), canvas.height);
  pen.fillStyle = colour("--main");
  const { values } = peaks;
  for (let column = 0; column < canvas.width; column += 2) {
    const height = Math.max(values[Math.floor((column / canvas.width) * values.length)] * middle, 1);
    pen.fillRect(column, middle - height, 1.5, 2 * height);
  }
  pen.fillStyle = colour("--stop");
  if (position > 0) pen.fillRect(x(position), 0, 2 * scale, canvas.height);
}

async function measured(file) {
  const context = new OfflineAudioContext(1, 1, 16000);
  let values = new Float32Array(1);
  let duration = 0;
  try {
    const sound = await context.decodeAudioData(await file.arrayBuffer());
    duration = sound.duration;
    const samples = sound.getChannelData(0);
    values = new Float32Array(1200);
    const size = Math.max(1, Math.ceil(samples.length / values.length));
    samples.forEach((sample, index) => {
      const bin = Math.floor(index / size);
      if (Math.abs(sample) > values[bin]) values[bin] = Math.abs(sample);
    });
    const loudest = Math.max(...values) || 1;
    values = values.map((value) => value / loudest);
  } catch {
    // a format that the server reads and the browser does not: no picture
  }
  return { file, values, duration };
}
