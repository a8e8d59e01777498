import sharp from 'sharp'

const SNOWMAN = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1200 800">
  <defs>
    <linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">
      <stop offset="0" stop-color="#7fa6c9"/><stop offset=".6" stop-color="#d9c3c4"/><stop offset="1" stop-color="#f6d9b8"/>
    </linearGradient>
    <linearGradient id="snow" x1="0" y1="0" x2="0" y2="1">
      <stop offset="0" stop-color="#fdfbf8"/><stop offset="1" stop-color="#cfdbe8"/>
    </linearGradient>
    <radialGradient id="ball" cx=".36" cy=".3" r=".8">
      <stop offset="0" stop-color="#fff"/><stop offset=".65" stop-color="#eef1f6"/><stop offset="1" stop-color="#b9c8da"/>
    </radialGradient>
    <radialGradient id="sun"><stop offset="0" stop-color="#fff3d6"/><stop offset="1" stop-color="#fff3d6" stop-opacity="0"/></radialGradient>
  </defs>
  <rect width="1200" height="800" fill="url(#sky)"/>
  <circle cx="930" cy="330" r="260" fill="url(#sun)"/>
  <path d="M0 470c180-90 330-60 520-20s420-70 680 10v340H0Z" fill="#b5c4d4"/>
  <g fill="#3f5a55">
    <path d="m120 520 60-190 60 190Zm12-100 48-140 48 140Z"/><path d="m260 525 46-140 46 140Zm10-80 36-100 36 100Z"/>
    <path d="m1010 515 66-210 66 210Zm14-110 52-150 52 150Z"/>
  </g>
  <g fill="#fff" opacity=".85"><path d="m148 372 32-92 32 92-20-12-14 14-12-14Z"/><path d="m1042 354 34-99 34 99-22-12-14 14-12-14Z"/></g>
  <path d="M0 560c240-70 500-50 700-20s360 10 500-30v290H0Z" fill="url(#snow)"/>
  <g stroke="#8b6a4b" stroke-width="12" stroke-linecap="round"><path d="M690 560v-95M770 556v-95M850 556v-95M930 552v-95M670 500h290M670 535h290"/></g>
  <ellipse cx="520" cy="716" rx="250" ry="34" fill="#9fb3c9" opacity=".6"/>
  <circle cx="510" cy="590" r="145" fill="url(#ball)"/><circle cx="510" cy="400" r="108" fill="url(#ball)"/><circle cx="510" cy="248" r="78" fill="url(#ball)"/>
  <g stroke="#6b4a33" stroke-width="11" stroke-linecap="round" fill="none"><path d="m412 385-120-66m40 22-6-44m22 54-46 8M608 385l116-74m-38 24 2-44m-18 56 46 6"/></g>
  <path d="M438 312c46 30 100 30 146 0l10 34c-54 32-112 32-166 0Z" fill="#b03f0d"/><path d="m560 340 44 104 38-16-42-106Z" fill="#c9561f"/>
  <g fill="#2a2320"><circle cx="484" cy="232" r="9"/><circle cx="538" cy="232" r="9"/><circle cx="510" cy="392" r="10"/><circle cx="510" cy="436" r="10"/>
    <path d="M428 192h164l-6 18H434Zm30-104h104v112H458Z"/></g>
  <path d="M458 158h104v24H458Z" fill="#b03f0d"/>
  <path d="m510 250 92 22-92 12Z" fill="#f08a3c"/>
  <path d="M476 284c20 20 48 22 66 6" stroke="#2a2320" stroke-width="6" fill="none" stroke-linecap="round"/>
  <g fill="#fff">${[
    [90, 90],
    [210, 190],
    [330, 80],
    [640, 120],
    [760, 230],
    [880, 90],
    [1040, 160],
    [1130, 70],
    [60, 300],
    [390, 230],
    [700, 380],
    [980, 420],
    [820, 330],
    [280, 640],
    [900, 660],
    [1080, 620],
  ]
    .map(([x, y], at) => `<circle cx="${x}" cy="${y}" r="${4 + (at % 3) * 2}"/>`)
    .join('')}</g>
</svg>`

/** The picture that the family sends: drawn, so that it belongs to nobody else. A JPEG of 1200 by 800. */
export function snowmanPicture(): Promise<Buffer> {
  return sharp(Buffer.from(SNOWMAN)).jpeg({ quality: 82 }).toBuffer()
}
