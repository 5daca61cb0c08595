/** What ONNX Runtime has to say, in one line and without its stamps, source lines and status codes. */
export function plainReason(text: string): string {
  return text
    .trim()
    .replace(/\s+/g, ' ')
    .replace(/^.*\[ONNXRuntimeError\] : \d+ : \w+ : /, '')
    .replace(/^.*?\[[A-Z]:onnxruntime[^\]]*\] */, '')
}
