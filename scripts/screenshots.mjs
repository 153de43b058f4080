/**
 * `node scripts/screenshots.mjs FOLDER`, after `npm run build`: pictures of the dashboard for `docs/figures/`
 * from a folder of certified runs. It needs Chromium, at /usr/bin/chromium or where TAUTNET_CHROMIUM says.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const [folder = 'runs'] = process.argv.slice(2);
const main = join(ROOT, 'dist', 'cli', 'main.js');
const server = spawn(process.execPath, [main, 'dashboard', folder, '--port', '0'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const [line] = await once(server.stdout, 'data');
const url = String(line).trim();
const executablePath = process.env.TAUTNET_CHROMIUM ?? '/usr/bin/chromium';
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });

async function picture(name, hash, colorScheme, prepare) {
  const page = await browser.newPage({ viewport: { width: 1120, height: 800 }, colorScheme });
  await page.goto(`${url}${hash}`);
  await prepare(page);
  await page.screenshot({ path: join(ROOT, 'docs', 'figures', `${name}.png`) });
  await page.close();
}

try {
  let names = [];
  await picture('dashboard-runs', '', 'light', async (page) => {
    await page.locator('[data-run]').first().waitFor();
    names = await page.locator('[data-run]').evaluateAll((rows) => rows.map((row) => row.dataset.run));
  });
  const first = names.find((name) => name.startsWith('ibp')) ?? names[0];
  await picture('dashboard-run', `#/run/${encodeURIComponent(first)}`, 'light', (page) =>
    page.locator('.curve').first().waitFor(),
  );
  const all = names.map(encodeURIComponent).join('/');
  await picture('dashboard-compare', `#/compare/${all}`, 'light', (page) =>
    page.locator('.points').first().waitFor(),
  );
  await picture('dashboard-look', `#/look/${encodeURIComponent(first)}`, 'dark', async (page) => {
    await page.locator('.strip button').nth(4).click();
    await page.locator('.radius b').waitFor();
    await page.waitForTimeout(2500);
  });
} finally {
  await browser.close();
  server.kill('SIGTERM');
}
