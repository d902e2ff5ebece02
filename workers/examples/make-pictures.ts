// Makes the pictures of the demonstration, into the folder given: each drawn
// here, from shapes or from numbers, and each another case for who resizes it.
// Run it again only to change them; its output is in the repository.
//
//   node dist/workers/examples/make-pictures.js workers/examples/pictures
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';

/** The channels of one pixel, each 0 to 255, at a place given from 0 to 1 on both axes. */
type Shade = (x: number, y: number) => readonly number[];

/** Chance that comes out the same each time. @returns gives numbers from 0 to 1 */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function drawing(width: number, height: number, shapes: string): Sharp {
  const size = `width="${width}" height="${height}"`;
  return sharp(Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" ${size}>${shapes}</svg>`));
}

function shading(width: number, height: number, channels: 1 | 3, shade: Shade): Sharp {
  const pixels = Buffer.alloc(width * height * channels);
  for (let at = 0; at < width * height; at++) {
    pixels.set(shade((at % width) / width, Math.floor(at / width) / height), at * channels);
  }
  return sharp(pixels, { raw: { width, height, channels } });
}

function gradient(id: string, ...colours: string[]): string {
  const stops = colours.map((colour, at) => {
    const offset = at / (colours.length - 1);
    return `<stop offset="${offset}" stop-color="${colour}"/>`;
  });
  return `<linearGradient id="${id}" x2="0" y2="1">${stops.join('')}</linearGradient>`;
}

/** A ridge of hills from edge to edge, filled down to `base`. */
function ridge(width: number, top: number, base: number, colour: string, seed: number): string {
  const random = chance(seed);
  const points = [`0,${base}`];
  for (let step = 0; step <= 12; step++) {
    const y = top + (random() - 0.5) * (base - top);
    points.push(`${((step / 12) * width).toFixed(1)},${y.toFixed(1)}`);
  }
  return `<polygon points="${points.join(' ')} ${width},${base}" fill="${colour}"/>`;
}

/** The sun over hills and water: the common case. */
function lake(): Sharp {
  const sky = gradient('sky', '#1d2b64', '#f8a170', '#fde6b0');
  const water = gradient('water', '#f3b98a', '#27407a');
  return drawing(
    1200,
    800,
    `<defs>${sky}${water}</defs>
     <rect width="1200" height="520" fill="url(#sky)"/>
     <circle cx="760" cy="330" r="70" fill="#fff4cf"/>
     ${ridge(1200, 400, 520, '#6b4a78', 5)}${ridge(1200, 470, 520, '#3a2f57', 11)}
     <rect y="520" width="1200" height="280" fill="url(#water)"/>
     <ellipse cx="760" cy="600" rx="46" ry="70" fill="#fff4cf" opacity="0.55"/>`,
  ).jpeg({ quality: 70 });
}

/** Lies on its side in the file, and says so: a thumbnail must stand upright. */
function tower(): Sharp {
  const sky = gradient('sky', '#8fd3f4', '#e8f7e0');
  const windows = [...Array(9).keys()].map(
    (floor) => `<rect x="265" y="${330 + floor * 80}" width="70" height="36" fill="#ffe08a"/>`,
  );
  const upright = drawing(
    600,
    1200,
    `<defs>${sky}</defs><rect width="600" height="1200" fill="url(#sky)"/>
     <polygon points="300,90 390,270 210,270" fill="#b5483c"/>
     <rect x="225" y="270" width="150" height="830" fill="#7d5a50"/>${windows.join('')}
     <rect y="1100" width="600" height="100" fill="#5d8a4a"/>`,
  );
  return upright.rotate(-90).withMetadata({ orientation: 6 }).jpeg({ quality: 70 });
}

/** Five times as wide as high. */
function panorama(): Sharp {
  const sky = gradient('sky', '#355c7d', '#c06c84', '#f8b195');
  return drawing(
    2000,
    400,
    `<defs>${sky}</defs><rect width="2000" height="400" fill="url(#sky)"/>
     ${ridge(2000, 240, 400, '#5b4a7b', 3)}${ridge(2000, 300, 400, '#3b3157', 23)}
     ${ridge(2000, 350, 400, '#1e1b33', 42)}`,
  ).jpeg({ quality: 65 });
}

/** Transparent around its edge: a thumbnail must stay so. */
function badge(): Sharp {
  const ray = '<rect x="248" y="20" width="16" height="90" rx="8" fill="#e9b44c"';
  const rays = [...Array(24).keys()].map(
    (turn) => `${ray} transform="rotate(${turn * 15} 256 256)"/>`,
  );
  return drawing(
    512,
    512,
    `${rays.join('')}<circle cx="256" cy="256" r="180" fill="#1b998b"/>
     <circle cx="256" cy="256" r="150" fill="none" stroke="#fff" stroke-width="8"/>
     <polyline points="180,262 236,316 338,200" fill="none" stroke="#fff" stroke-width="34"
       stroke-linecap="round" stroke-linejoin="round"/>`,
  ).png({ palette: true });
}

/** Smaller than a thumbnail: it must not be made larger. */
function icon(): Sharp {
  return drawing(
    48,
    48,
    `<rect width="48" height="48" rx="10" fill="#ef476f"/>
     <circle cx="24" cy="24" r="13" fill="#ffd166"/><circle cx="24" cy="24" r="5" fill="#26547c"/>`,
  ).png();
}

/** Grey, without a colour channel. */
function waves(): Sharp {
  const distance = (x: number, y: number, atX: number, atY: number): number =>
    Math.hypot((x - atX) * 1.5, y - atY);
  return shading(600, 400, 1, (x, y) => {
    const both =
      Math.sin(distance(x, y, 0.25, 0.35) * 40) + Math.sin(distance(x, y, 0.75, 0.7) * 40);
    return [Math.round(127.5 + both * 60)];
  }).png({ palette: true, colours: 6, dither: 0 });
}

/** Fine detail and few colours. */
function fractal(): Sharp {
  const steps = 24;
  return shading(480, 480, 3, (x, y) => {
    const [cx, cy] = [x * 2.6 - 1.9, y * 2.6 - 1.3];
    let [zx, zy, step] = [0, 0, 0];
    while (step < steps && zx * zx + zy * zy < 4) {
      [zx, zy] = [zx * zx - zy * zy + cx, 2 * zx * zy + cy];
      step++;
    }
    const bright = step === steps ? 0 : (step + 4) / (steps + 4);
    return [255 * bright ** 2, 230 * bright, 90 + 150 * Math.sqrt(bright)].map(Math.round);
  }).png({ palette: true, colours: 16, dither: 0 });
}

/** Sharp edges in a lossy format. */
function mosaic(): Sharp {
  const random = chance(7);
  const tiles: string[] = [];
  for (let y = 0; y < 900; y += 150) {
    for (let x = 0; x < 900; x += 150) {
      const colour = `hsl(${Math.round(random() * 360)},60%,${Math.round(40 + random() * 30)}%)`;
      const half = random() < 0.5 ? '0,0 150,0 0,150' : '0,0 150,0 150,150';
      tiles.push(
        `<g transform="translate(${x} ${y})"><rect width="150" height="150" fill="${colour}"/>
         <polygon points="${half}" fill="#000" opacity="0.25"/></g>`,
      );
    }
  }
  return drawing(900, 900, tiles.join('')).jpeg({ quality: 60 });
}

const PICTURES: Readonly<Record<string, () => Sharp>> = {
  'badge.png': badge,
  'fractal.png': fractal,
  'icon.png': icon,
  'lake.jpg': lake,
  'mosaic.jpg': mosaic,
  'panorama.jpg': panorama,
  'tower.jpg': tower,
  'waves.png': waves,
};

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: make-pictures.js FOLDER');
mkdirSync(folder, { recursive: true });
for (const [name, draw] of Object.entries(PICTURES)) {
  const { width, height, size } = await draw().toFile(join(folder, name));
  console.log(`${name}: ${width} x ${height}, ${size} bytes`);
}
