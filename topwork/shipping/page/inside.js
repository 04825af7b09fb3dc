// Run the model that is inside the page, with the answers of "topwork predict".

const MAX_PIXELS = 179e6; // as in topwork/data/picture_files.py
const STRIP = 4e6; // pixels that are drawn at a time: some browsers have no larger canvas
const LONG = 448; // the longer side of a heat map
const ORANGE = [255, 90, 0];

const backend = {
  // Unpack and start the model, and return what is known of it. `tell` is called with what happens.
  async open(tell) {
    refuseOldBrowser();
    this.about = JSON.parse(document.getElementById("about").textContent);
    tell("Preparing the model: unpacking…");
    const [module, wasm, model] = await Promise.all(["module", "wasm", "model"].map(unpacked));
    tell("Preparing the model: starting…");
    const address = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
    const ort = await import(address);
    URL.revokeObjectURL(address);
    ort.env.logLevel = "error";
    Object.assign(ort.env.wasm, { wasmBinary: wasm, numThreads: 1, proxy: false });
    this.ort = ort;
    this.session = await ort.InferenceSession.create(new Uint8Array(model), { executionProviders: ["wasm"] });
    return [{ ...modelOf(this.about), heat: this.session.outputNames.includes("map") }];
  },

  // Return the answer for a picture: an object as "topwork predict --json" prints it, with heat maps.
  async classify(file) {
    let picture;
    try {
      picture = await decoded(file);
    } catch (error) {
      return { path: file.name, label: null, probability: null, probabilities: {}, error: error.message };
    }
    const seen = this.about.inputs.map((input) => fitted(picture, input));
    const feeds = {};
    this.about.inputs.forEach((input, n) => {
      const pixels = new Uint8Array(seen[n].data.buffer, seen[n].data.byteOffset, seen[n].data.length);
      feeds[input.name] = new this.ort.Tensor("uint8", pixels, [1, ...input.size, 3]);
    });
    const outputs = await this.session.run(feeds);
    const answer = answered(file.name, outputs, this.about);
    if (outputs.map) answer.heat = [await heatMap(picture, seen[0], outputs.map, answer.label, this.about)];
    return answer;
  },
};

function refuseOldBrowser() {
  const simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253];
  const lacking = [];
  if (typeof DecompressionStream === "undefined") lacking.push("DecompressionStream");
  if (typeof createImageBitmap === "undefined") lacking.push("createImageBitmap");
  if (typeof WebAssembly === "undefined") lacking.push("WebAssembly");
  else if (!WebAssembly.validate(Uint8Array.from([...simd, 98, 11]))) lacking.push("WebAssembly with SIMD");
  if (!lacking.length) return;
  const use = "please use a current version of Chrome, Edge, Firefox or Safari";
  throw new Error(`this browser lacks ${lacking.join(" and ")}, which the page needs: ${use}`);
}

// Return the content of an element of the page, and remove the element.
async function unpacked(id) {
  const element = document.getElementById(id);
  const text = atob(element.textContent);
  element.remove();
  const bytes = new Uint8Array(text.length);
  for (let n = 0; n < text.length; n++) bytes[n] = text.charCodeAt(n);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

function modelOf(about) {
  const path = decodeURIComponent(location.pathname);
  const name = path.slice(path.lastIndexOf("/") + 1).replace(/\.html?$/i, "");
  return {
    model: name,
    labels: about.labels,
    pictures: [],
    accuracy: (about.scores || {}).accuracy,
    training: about.training,
    distance: about.distance,
    forced: about.forced,
  };
}

// Return the pixels of a picture at its natural size, on white: {width, height, data} with 3 bytes per pixel.
async function decoded(file) {
  const head = new Uint8Array(await file.slice(0, 12).arrayBuffer().catch(refuseUnread));
  if (!head.length) throw new Error("the file is empty");
  const how = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(file, how).catch(() => {
    throw new Error(reason(head));
  });
  const { width, height } = bitmap;
  if (width * height === 1) throw new Error("a single pixel");
  if (width * height > MAX_PIXELS) throw new Error(`${Math.round((width * height) / 1e6)} megapixels are too many`);
  const data = new Uint8Array(width * height * 3);
  const rows = Math.max(1, Math.min(height, Math.floor(STRIP / width)));
  const canvas = Object.assign(document.createElement("canvas"), { width, height: rows });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < height; top += rows) {
    context.fillStyle = "white";
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const part = context.getImageData(0, 0, width, Math.min(rows, height - top)).data;
    for (let from = 0, to = top * width * 3; from < part.length; from += 4, to += 3) {
      data[to] = part[from];
      data[to + 1] = part[from + 1];
      data[to + 2] = part[from + 2];
    }
  }
  bitmap.close();
  return { width, height, data };
}

function refuseUnread() {
  throw new Error("the file cannot be opened; if it is a folder, choose the pictures in it");
}

// Return why the browser cannot read a file that begins with these bytes.
function reason(head) {
  const text = String.fromCharCode(...head);
  const convert = "convert it to JPEG or PNG";
  if (text.startsWith("II*\0") || text.startsWith("MM\0*")) return `this browser cannot read TIFF: ${convert}`;
  if (text.slice(4, 8) === "ftyp") return `this browser cannot read HEIC or AVIF: ${convert}`;
  if (/^(\xff\xd8\xff|\x89PNG|GIF8|BM|RIFF)/.test(text)) return "the picture is damaged, or cut short";
  return "not a picture that this browser can read";
}

function answered(path, outputs, about) {
  const each = Array.from(outputs.probabilities.data);
  const best = each.indexOf(Math.max(...each));
  const threshold = (about.distance || {}).threshold;
  const distance = outputs.distance ? outputs.distance.data[0] : null;
  const known = distance === null || threshold === undefined ? null : distance <= threshold;
  const pairs = about.labels.map((label, n) => [label, each[n]]);
  const probabilities = Object.fromEntries(pairs);
  return { path, label: about.labels[best], probability: each[best], probabilities, known, distance };
}

// Return a heat map as topwork/scoring/plots/heat.py draws it: the picture in grey, and in orange what speaks for the
// label.
async function heatMap(picture, seen, map, label, about) {
  const [, rows, columns, classes] = map.dims;
  const number = about.labels.indexOf(label);
  const values = [];
  for (let place = 0; place < rows * columns; place++) {
    const logits = map.data.subarray(place * classes, (place + 1) * classes);
    values.push(logits[number] - logits.reduce((sum, one) => sum + one, 0) / classes);
  }
  const largest = Math.max(1e-6, ...values);
  const isSquashed = about.inputs[0].fit === "squash";
  const [width, height] = isSquashed ? [picture.width, picture.height] : [seen.width, seen.height];
  const factor = LONG / Math.max(width, height);
  const size = [width, height].map((side) => Math.max(1, Math.round(side * factor)));
  const canvas = Object.assign(document.createElement("canvas"), { width: size[0], height: size[1] });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  const grey = small(seen.width, seen.height, (place) => {
    const [red, green, blue] = seen.data.subarray(3 * place, 3 * place + 3);
    const light = 0.7 * (0.299 * red + 0.587 * green + 0.114 * blue);
    return [light, light, light, 255];
  });
  const heat = small(columns, rows, (place) => [...ORANGE, 255 * 0.75 * Math.max(0, values[place] / largest)]);
  context.drawImage(grey, 0, 0, ...size);
  context.drawImage(heat, 0, 0, ...size);
  const file = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
  return { picture: null, label, method: "class activation map", image: URL.createObjectURL(file) };
}

// Return a canvas whose pixels are what `colour` says of each place.
function small(width, height, colour) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pixels = new ImageData(width, height);
  for (let place = 0; place < width * height; place++) pixels.data.set(colour(place), 4 * place);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}
