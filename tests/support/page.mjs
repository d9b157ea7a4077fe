// Opens a page in Chromium, wide and narrow, light and dark, and prints what it saw, as JSON.
// Arguments: folder with node_modules (playwright-core), Chromium, address, folder for pictures.
import path from 'node:path';
import { createRequire } from 'node:module';

const [modules, browser, address, pictures] = process.argv.slice(2);
const { chromium } = createRequire(path.join(modules, 'package.json'))('playwright-core');

// Text whose contrast with what lies behind it is below WCAG's 4.5 to 1
function pale() {
  const channels = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = channels(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || element.closest('svg, .unseen')) continue;
    const [a, b] = [luminance(channels(getComputedStyle(element).color)), luminance(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) found.push(`${element.className || element.tagName}: ${contrast.toFixed(2)}`);
  }
  return found;
}

const options = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const running = await chromium.launch({ executablePath: browser, args: options });
const seen = {};
for (const [width, colorScheme] of [[1280, 'light'], [1280, 'dark'], [390, 'light'], [390, 'dark']]) {
  const context = await running.newContext({ viewport: { width, height: 900 }, colorScheme });
  const tab = await context.newPage();
  const told = { requests: [], complaints: [] };
  tab.on('request', (request) => told.requests.push(request.url()));
  tab.on('requestfailed', (request) => told.complaints.push(`failed: ${request.url()}`));
  tab.on('console', (message) => told.complaints.push(message.text()));
  tab.on('pageerror', (error) => told.complaints.push(String(error)));
  tab.on('response', (answer) => answer.status() >= 400 && told.complaints.push(`${answer.status()} ${answer.url()}`));
  await tab.goto(address, { waitUntil: 'networkidle' });
  told.title = await tab.title();
  told.text = await tab.innerText('body');
  told.wider = await tab.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  told.pale = await tab.evaluate(pale);
  told.styled = await tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
  told.headings = await tab.evaluate(() => [...document.querySelectorAll('h1, h2')].map((e) => e.innerText));
  const name = `${width}-${colorScheme}`;
  if (pictures) await tab.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
  seen[name] = told;
  await context.close();
}
console.log(JSON.stringify(seen));
await running.close();
