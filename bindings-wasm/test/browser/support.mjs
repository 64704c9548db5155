// A real Chromium, on pages served from this machine.
import { createServer } from "node:http";
import { after, before } from "node:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";

import { chromium } from "playwright-core";

const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };
const PAGE = '<!doctype html><title>rolekeep</title><script type="importmap">{"imports": {"rolekeep": "/dist/index.js", "rolekeep/rules": "/dist/rules/index.js"}}</script>';

/** Serves a folder; `/` is a page on which `rolekeep` can be imported, unless the folder has its own. */
export async function serve(folder, headers = {}) {
  const requests = [];
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://x").pathname);
    requests.push(path);
    let body;
    try {
      body = readFileSync(join(folder, path === "/" ? "index.html" : path));
    } catch {
      if (path !== "/") return response.writeHead(404).end();
      body = PAGE;
    }
    response.writeHead(200, { "content-type": TYPES[path === "/" ? ".html" : extname(path)] ?? "text/plain", ...headers }).end(body);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}/`, requests, close: () => server.close() };
}

/** A browser with a profile of its own, which outlives `restart`. */
export async function browser() {
  const profile = mkdtempSync(join(tmpdir(), "rolekeep-profile-"));
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  const executablePath = process.env.ROLEKEEP_CHROMIUM ?? "/usr/bin/chromium";
  const launch = () => chromium.launchPersistentContext(profile, { executablePath, headless: true, args });
  let context = await launch();
  return {
    async page(url) {
      const page = await context.newPage();
      page.on("pageerror", (error) => console.log(`page error: ${error}`));
      await page.goto(url);
      return page;
    },
    async restart() {
      await context.close();
      context = await launch();
    },
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** Has a browser and a site of this folder, `chromium` and `site`, for the tests of a file. */
export function opened(folder) {
  const opened = {};
  before(async () => Object.assign(opened, { site: await serve(folder), chromium: await browser() }));
  after(async () => {
    await opened.chromium?.close();
    opened.site?.close();
  });
  return opened;
}
