// Runs beside the page: gathers a tenth of a second of samples and passes it on as 16-bit numbers.
class Samples extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunk = new Int16Array(2400);
    this.length = 0;
  }

  process([input]) {
    for (const sample of input[0] || []) {
      this.chunk[this.length++] = Math.max(-1, Math.min(1, sample)) * 32767;
      if (this.length === this.chunk.length) {
        this.port.postMessage(this.chunk);
        this.chunk = new Int16Array(2400);
        this.length = 0;
      }
    }
    return true;
  }
}
registerProcessor("samples", Samples);
