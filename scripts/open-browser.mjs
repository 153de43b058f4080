/** A browser without a window, for pictures of pages. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

/** The browser that TAUTNET_CHROMIUM names, or the first on the PATH. */
function browserPath() {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];
  const found = names.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
  const path = process.env.TAUTNET_CHROMIUM ?? found;
  if (path === undefined)
    throw new Error('figures: expected chromium on the PATH for pictures of pages, got none');
  return path;
}

/** Opens it. @throws Error where there is none */
export const openBrowser = () =>
  chromium.launch({ executablePath: browserPath(), args: ['--no-sandbox', '--disable-gpu'] });
