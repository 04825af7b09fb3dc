// Resize pictures exactly as Pillow 13 does (topwork/data/pictures.py, step 4). A picture is {width, height, data} with
// 3 bytes per pixel. Reference: src/libImaging/Resample.c and Geometry.c of Pillow.

const PRECISION = 22; // bits of a weight

function roundHalfEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

// Return the width and height that a picture is scaled to; "crop" then cuts off what is too much.
function scaledSize(width, height, fit) {
  const [targetHeight, targetWidth] = fit.size;
  if (fit.fit === "squash") return [targetWidth, targetHeight];
  const choose = fit.fit === "crop" ? Math.max : Math.min;
  const factor = choose(targetWidth / width, targetHeight / height);
  return [Math.max(1, roundHalfEven(width * factor)), Math.max(1, roundHalfEven(height * factor))];
}

// Bring a picture to the size and by the rule of an input of the model: {size: [height, width], fit, resample}.
function fitted(picture, fit) {
  const [height, width] = fit.size;
  const whole = [0, 0, picture.width, picture.height];
  if (fit.fit === "squash") return resized(picture, width, height, fit.resample, whole);
  if (fit.fit === "crop") {
    const left = (picture.width - Math.min(picture.width, (picture.height * width) / height)) / 2;
    const top = (picture.height - Math.min(picture.height, (picture.width * height) / width)) / 2;
    const box = [left, top, picture.width - left, picture.height - top];
    return resized(picture, width, height, fit.resample, box);
  }
  const inner = resized(picture, ...scaledSize(picture.width, picture.height, fit), fit.resample, whole);
  return pasted(inner, width, height);
}

// Return a black picture of the given size with another in its centre.
function pasted(inner, width, height) {
  const data = new Uint8Array(width * height * 3);
  const left = Math.floor((width - inner.width) / 2);
  const top = Math.floor((height - inner.height) / 2);
  for (let y = 0; y < inner.height; y++) {
    const row = inner.data.subarray(y * inner.width * 3, (y + 1) * inner.width * 3);
    data.set(row, ((top + y) * width + left) * 3);
  }
  return { width, height, data };
}

function resized(picture, width, height, resample, box) {
  const [left, top, right, bottom] = box.map(Math.fround);
  const isSame = width === picture.width && height === picture.height;
  if (isSame && left === 0 && top === 0 && right === width && bottom === height) return picture;
  if (resample === "nearest") return nearest(picture, width, height, [left, top, right, bottom]);
  const across = left || right !== width ? weights(picture.width, left, right, width) : null;
  const down = top || bottom !== height ? weights(picture.height, top, bottom, height) : null;
  const isDownFirst = picture.height > height && picture.height - height > 2 * (picture.width - width);
  let found = picture;
  if (isDownFirst && down) found = resizedDown(found, down);
  if (across) found = resizedAcross(found, across);
  if (!isDownFirst && down) found = resizedDown(found, down);
  return found;
}

function nearest(picture, width, height, [left, top, right, bottom]) {
  const columns = places(left, Math.fround(right - left) / width, width);
  const rows = places(top, Math.fround(bottom - top) / height, height);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    if (rows[y] >= picture.height) continue;
    for (let x = 0; x < width; x++) {
      if (columns[x] >= picture.width) continue;
      const from = (rows[y] * picture.width + columns[x]) * 3;
      data.set(picture.data.subarray(from, from + 3), (y * width + x) * 3);
    }
  }
  return { width, height, data };
}

// Return the position that each new column or row is taken from; Pillow adds the steps up, and so do their errors.
function places(start, step, count) {
  const found = [];
  let place = start + step * 0.5;
  for (let n = 0; n < count; n++, place += step) found.push(Math.floor(place));
  return found;
}

// Return for each new column or row: the first old one, how many, and their weights as whole numbers.
function weights(length, start, end, count) {
  const scale = Math.fround(end - start) / count;
  const wide = Math.max(scale, 1);
  const found = [];
  for (let n = 0; n < count; n++) {
    const centre = start + (n + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - wide + 0.5));
    const last = Math.min(length, Math.trunc(centre + wide + 0.5));
    const each = [];
    let sum = 0;
    for (let place = 0; place < last - first; place++) {
      const distance = Math.abs((place + first - centre + 0.5) * (1 / wide));
      each.push(distance < 1 ? 1 - distance : 0);
      sum += each[place];
    }
    const whole = each.map((one) => Math.trunc(0.5 + (sum ? one / sum : one) * 2 ** PRECISION));
    found.push({ first, each: Int32Array.from(whole) });
  }
  return found;
}

function resizedAcross(picture, columns) {
  const { height, data } = picture;
  const width = columns.length;
  const found = new Uint8ClampedArray(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, each } = columns[x];
      let red = 1 << (PRECISION - 1);
      let green = red;
      let blue = red;
      let from = (y * picture.width + first) * 3;
      for (let n = 0; n < each.length; n++, from += 3) {
        red += data[from] * each[n];
        green += data[from + 1] * each[n];
        blue += data[from + 2] * each[n];
      }
      const to = (y * width + x) * 3;
      found[to] = red >> PRECISION;
      found[to + 1] = green >> PRECISION;
      found[to + 2] = blue >> PRECISION;
    }
  }
  return { width, height, data: found };
}

function resizedDown(picture, rows) {
  const { width, data } = picture;
  const length = width * 3;
  const found = new Uint8ClampedArray(length * rows.length);
  const sums = new Int32Array(length);
  rows.forEach(({ first, each }, y) => {
    sums.fill(1 << (PRECISION - 1));
    for (let n = 0; n < each.length; n++) {
      const from = (first + n) * length;
      const weight = each[n];
      for (let x = 0; x < length; x++) sums[x] += data[from + x] * weight;
    }
    for (let x = 0; x < length; x++) found[y * length + x] = sums[x] >> PRECISION;
  });
  return { width, height: rows.length, data: found };
}
