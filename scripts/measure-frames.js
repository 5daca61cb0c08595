/** Measures frames while 1,024 tokens are revealed in the playground (npm start in another terminal, then this). */
import { chromium } from 'playwright-core'

const [url = 'http://127.0.0.1:8080'] = process.argv.slice(2)
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu']
})
const page = await browser.newPage({ viewport: { width: 1240, height: 940 } })
await page.goto(`${url}/#prompt=Once&max_tokens=1020&steps=64&seed=1`)
await page.locator('#model option').first().waitFor({ state: 'attached' })
await page.locator('#go').click()
await page.locator('.facts', { hasText: 'tokens/s' }).waitFor({ timeout: 120_000 })
await page.locator('#play').click() // once more, now that the server rests
const gaps = await page.evaluate(
  () =>
    new Promise((resolve) => {
      const gaps = []
      let last = performance.now()
      const tick = (now) => {
        gaps.push(now - last)
        last = now
        if (document.getElementById('play').textContent === 'Play') resolve(gaps.slice(1))
        else requestAnimationFrame(tick)
      }
      requestAnimationFrame(tick)
    })
)
gaps.sort((a, b) => a - b)
const at = (share) => gaps[Math.floor((gaps.length - 1) * share)].toFixed(1)
const seconds = gaps.reduce((sum, gap) => sum + gap, 0) / 1000
console.log(
  `${(gaps.length / seconds).toFixed(1)} frames a second over ${seconds.toFixed(1)} s; between frames: median ${at(0.5)} ms, 95 % ${at(0.95)} ms, longest ${at(1)} ms`
)
await browser.close()
