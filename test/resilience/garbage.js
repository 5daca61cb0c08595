/** Imported by every process of a server: its denoisers print 256 MiB of bytes that are no UTF-8, without the end of a line. */
const MIB = 1024 * 1024

if (process.argv[1]?.endsWith('denoiser-process.js')) {
  let left = 256
  const timer = setInterval(() => {
    process.stderr.write(Buffer.alloc(MIB, 0xc3))
    if (--left === 0) clearInterval(timer)
  }, 20)
}
