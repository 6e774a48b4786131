// Encodes a picture from the user as base64. Large pictures are reduced first: models use a few hundred pixels. A
// file that the browser cannot decode is sent unchanged, so that the service reports the error.

const MAX_SIDE = 1024; // pixels: more than any model uses
const MAX_PLAIN_BYTES = 512 * 1024; // smaller files are sent unchanged
const JPEG_QUALITY = 0.92;

export async function toBase64(file) {
  const blob = file.size > MAX_PLAIN_BYTES ? await smaller(file) : file;
  return encode(new Uint8Array(await blob.arrayBuffer()));
}

/** The first picture among dropped or pasted things. */
export function pictureAmong(files) {
  return Array.from(files).find((file) => file.type.startsWith("image/")) ?? null;
}

async function smaller(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return file;
  }
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? file), "image/jpeg", JPEG_QUALITY));
}

function encode(bytes) {
  const pieces = [];
  for (let i = 0; i < bytes.length; i += 0x8000) pieces.push(String.fromCharCode(...bytes.subarray(i, i + 0x8000)));
  return btoa(pieces.join(""));
}
