import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import t from 'tap'
import { startServer, TOYS } from './server-process.js'

const executablePath = '/usr/bin/chromium'
const flags = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run'
]

t.test(
  'a text takes shape in the playground',
  { skip: !existsSync(executablePath) && 'no Chromium' },
  async (t) => {
    const { url } = await startServer(t, ...TOYS)
    const browser = await chromium.launch({
      executablePath,
      args: ['--no-sandbox', '--disable-gpu', ...flags]
    })
    t.teardown(() => browser.close())
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('request', (request) => {
      if (!/^(http:\/\/127\.0\.0\.1|data:)/.test(request.url())) complaints.push(request.url())
    })

    await page.goto(url)
    await page.getByLabel('Prompt').fill(' red')
    await page.getByLabel('Length').fill('8')
    await page.getByLabel('Steps').fill('4')
    await page.getByLabel('Seed').fill('7')
    await page.getByLabel('Prompt').press('Control+Enter')
    await page.getByText(/^Done: 8 tokens/).waitFor()
    t.match(await page.locator('#text').textContent(), /^ red( red| green| blue){8}$/)
    t.equal(await page.locator('#step').textContent(), '4 / 4')
    t.equal(await page.locator('.masked').count(), 0)
    t.match(await page.locator('.revealed').first().getAttribute('title'), /^[\d.]+ % at step [1-4]$/)

    await page.getByLabel('Steps').fill('5000')
    await page.getByRole('button', { name: 'Write' }).click()
    await page.getByText(/^steps: expected/).waitFor()

    await page.getByLabel('Steps').fill('1000')
    await page.getByLabel('Length').fill('500')
    await page.getByRole('button', { name: 'Write' }).click()
    await page.getByRole('button', { name: 'Stop' }).click()
    await page.getByText('Stopped.').waitFor()
    t.same(complaints, [])
  }
)
