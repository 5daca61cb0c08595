/**
 * Measures the bundled pair, speed and quality, and writes the report and pictures of it, docs/load-report*.{html,png}: `npm run load-report`, on a
 * quiet machine, with distill's Python packages. Some ten minutes.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const html = fileURLToPath(new URL('../docs/load-report.html', import.meta.url))
const bench = ['dist/cli.js', 'bench', '--judge', '--html', 'docs/load-report.html', ...process.argv.slice(2)]
execFileSync(process.execPath, bench, { stdio: 'inherit' })
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu']
})
const page = await browser.newPage({ viewport: { width: 1100, height: 900 } })
await page.goto(`file://${html}`)
await page.screenshot({ path: 'docs/load-report.png', fullPage: true })
const chart = await page.locator('.chart').first().boundingBox()
const answer = { x: 0, y: 0, width: 1100, height: chart.y + chart.height + 24 }
await page.screenshot({ path: 'docs/load-report-answer.png', clip: answer, fullPage: true })
await browser.close()
