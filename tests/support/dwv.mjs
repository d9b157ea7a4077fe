// Reads the DICOM files of a folder with dwv in Chromium and prints what it saw of each, as JSON.
// Arguments: folder with node_modules (dwv, playwright-core), folder of the files, Chromium.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createRequire } from 'node:module';

const [modules, files, browser] = process.argv.slice(2);
const { chromium } = createRequire(path.join(modules, 'package.json'))('playwright-core');
const page = `<!doctype html><div id="view" style="width:600px;height:600px"></div>
<script type="importmap">{"imports": {"konva": "/modules/konva/lib/index.js",
"jszip": "data:text/javascript,export default self.JSZip", "magic-wand-tool": "data:text/javascript,export default {}"}}</script>
<script src="/modules/jszip/dist/jszip.min.js"></script>
<script type="module">window.dwv = await import('/modules/dwv/dist/dwv.min.js');</script>`;
// dwv looks for its decoders below the page's own address
const assets = path.join(modules, 'node_modules', 'dwv', 'dist', 'assets');
const roots = { modules: path.join(modules, 'node_modules'), files, assets };
const server = http.createServer((request, response) => {
  const [, root, ...rest] = decodeURIComponent(request.url.split('?')[0]).split('/');
  const file = root in roots ? path.join(roots[root], ...rest) : '';
  const found = root === '' ? Buffer.from(page) : fs.existsSync(file) ? fs.readFileSync(file) : null;
  const type = root === '' ? 'text/html' : file.endsWith('.js') ? 'text/javascript' : 'application/dicom';
  response.writeHead(found ? 200 : 404, { 'content-type': type }).end(found ?? '');
}).listen(0, '127.0.0.1');

async function look(file) {
  const url = `${location.origin}/files/${file}`;
  const parser = new dwv.DicomParser();
  parser.parse(await (await fetch(url)).arrayBuffer());
  const elements = parser.getDicomElements();
  const pixels = elements['7FE00010']?.value ?? [];
  const told = {
    tags: Object.keys(elements).filter((tag) => !tag.startsWith('0002')).length,
    pixels: pixels.reduce((sum, each) => sum + (each.byteLength ?? 0), 0),
    text: elements['0008103E']?.value?.[0],
  };
  document.getElementById('view').innerHTML = '';
  const app = new dwv.App();
  app.init(new dwv.AppOptions({ '*': [new dwv.ViewConfig('view')] }));
  told.size = await new Promise((resolve) => {
    app.addEventListener('loadend', () => {
      const image = app.getData(app.getDataIds()[0])?.image;
      resolve(image ? image.getGeometry().getSize().getValues() : null);
    });
    setTimeout(() => resolve('no end'), 120000);
    app.loadURLs([url]);
  });
  return told;
}

const options = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const running = await chromium.launch({ executablePath: browser, args: options });
const tab = await running.newPage();
await tab.goto(`http://127.0.0.1:${server.address().port}/`);
await tab.waitForFunction(() => window.dwv);
const seen = {};
for (const file of fs.readdirSync(files)) seen[file] = await tab.evaluate(look, file);
console.log(JSON.stringify(seen));
await running.close();
server.close();
