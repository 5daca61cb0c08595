/// <reference lib="dom" />
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { launch, skip } from './chromium.js'
import { fewstep } from './command.js'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

t.test(
  'the report in Chromium: drawn, quiet, accessible, on a phone and in the dark',
  { skip },
  async (t) => {
    const folder = t.testdir()
    const html = join(folder, 'report.html')
    const flags = [
      '--run',
      'student:2',
      '--run',
      'teacher:4',
      '--seconds',
      '0.4',
      '--rounds',
      '2',
      '--max-tokens',
      '12'
    ]
    const { code } = await fewstep([
      'bench',
      ...flags,
      '--concurrency',
      '1,2',
      '--html',
      html,
      '--key',
      'secret'
    ])
    t.equal(code, 0)
    t.notMatch(await readFile(html, 'utf8'), 'secret')
    const browser = await launch(t)
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await browser.newPage({
        viewport: { width: 360, height: 740 },
        colorScheme,
        bypassCSP: true
      })
      const complaints: string[] = []
      page.on('console', (message) => complaints.push(message.text()))
      page.on('pageerror', (error) => complaints.push(error.message))
      page.on('request', (request) => {
        if (request.url() !== `file://${html}`) complaints.push(request.url())
      })
      await page.goto(`file://${html}`)
      t.equal(await page.locator('.chart canvas').count(), 3)
      const blank = await page.locator('.chart canvas').evaluateAll((canvases) =>
        canvases.map((canvas) => {
          const { width, height } = canvas as HTMLCanvasElement
          const { data } = (canvas as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, width, height)
          return data.every((value) => value === 0)
        })
      )
      t.same(blank, [false, false, false])
      t.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, 'nothing sticks out')
      t.match(await page.locator('.verdict').textContent(), /[\d.]+x the throughput of/)
      t.same(
        await page.evaluate(`(async () => {
        ${axe}
        return (await window.axe.run()).violations.map(({ id }) => id)
      })()`),
        []
      )
      t.same(complaints, [])
      await page.close()
    }
  }
)
