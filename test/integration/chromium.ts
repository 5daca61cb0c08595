/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { existsSync } from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'

const executablePath = '/usr/bin/chromium'

/** Why tests that need a browser are skipped; false where there is one. */
export const skip = !existsSync(executablePath) && 'no Chromium'

export async function launch(t: Test): Promise<Browser> {
  const quiet = [
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--no-first-run'
  ]
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', ...quiet] })
  t.teardown(() => browser.close())
  return browser
}

/** The playground, with what no page of ours does: say anything to the console, throw, ask another host. */
export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}) {
  const page = await browser.newPage(options)
  const complaints: string[] = []
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin) && !request.url().startsWith('data:'))
      complaints.push(request.url())
  })
  await page.goto(url)
  await page.locator('#model option').first().waitFor({ state: 'attached' })
  return { page, complaints }
}

/** Resolves when a text, or both of a race, has come to its end on the canvas. */
export function ended(page: Page, lane = 'A', timeout = 30_000): Promise<void> {
  return page.locator(`.lane[data-lane="${lane}"] .facts`, { hasText: 'tokens/s' }).waitFor({ timeout })
}

/** The whole text on a canvas, what is given included. */
export function textOf(page: Page, lane = 'A'): Promise<string> {
  return page
    .locator(`.lane[data-lane="${lane}"] .canvas`)
    .evaluate((canvas) =>
      [...canvas.children].map((child) => ((child as HTMLElement).hidden ? '' : child.textContent)).join('')
    )
}
