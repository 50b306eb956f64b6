/**
 * Grapheme_Cluster_Break of Unicode 10.0 (GraphemeBreakProperty.txt), the version Twilio's segment
 * calculator counts with. Newer tables would be nicer and would count differently at segment borders.
 *
 * A range list is base 36: `gap.length` pairs joined by commas, where `gap` is the distance from the end of
 * the range before and `.length` (left out when 0) the number of further code points.
 */
export const Class = {
  OTHER: 0,
  CONTROL: 1,
  EXTEND: 2,
  SPACING_MARK: 3,
  PREPEND: 4,
  REGIONAL_INDICATOR: 5,
  L: 6,
  V: 7,
  T: 8,
  LV: 9,
  LVT: 10,
  E_BASE: 11,
  E_MODIFIER: 12,
  ZWJ: 13,
  GLUE_AFTER_ZWJ: 14,
  E_BASE_GAZ: 15,
  CR: 16,
  LF: 17,
} as const;

const RANGES: readonly (readonly [number, string])[] = [
  [
    Class.CONTROL,
    "0.9,2.1,2.h,2o.w,e,12n,3jm,1kt,3.1,p.6,1e.f,109d.1kv,64g,6p.b,119h.3,440.7,h406.v,2p.3j,6p.2rz",
  ],
  [
    Class.EXTEND,
    "lc.33,7o.6,7c.18,2,2.1,2.1,2,21.a,1d.k,h,2u.6,3.5,3.1,2.3,10,v.q,2k.a,1n.8,z.3,2.8,2.2,2.4,18.2" +
      ",3d.d,2.v,1k,2,5.7,5,4.6,b.1,u,1n,2,3.3,9,a,b.1,u.1,1m,5.1,5.1,3.2,4,v.1,4,c.1,1m,5.4,2.1,5,l.1" +
      ",n.5,2,1n,2.1,2.3,9,9.1,b.1,v,1o,2,d,a,15,1q.2,6.2,2.3,8.1,c.1,u,1n,3,3,4,6.1,8.1,c.1,t.1,1m.1,2" +
      ",3.3,9,a,b.1,2v,5,3.2,2,9,2a,3.6,d.7,2r,3.5,2.1,c.5,23.1,s,2,2,1k.d,2.4,2.1,6.a,2.z,a,2v.3,2.5" +
      ",2.1,3.1,q.1,5.2,h.3,e,3.1,7,g,jk.2,qb.2,u.2,u.1,v.1,1t.1,2.6,9,3.a,a,1a.2,3c.1,z,3b.2,5.1,a,7.2" +
      ",64.1,3,1n,2.6,2,2,3.7,7.9,3,1d.e,1u.3,1d,2.4,2,6,15.8,d.1,x.3,3.1,2.2,1l,2.1,4,2.2,1n.7,3.1" +
      ",49.2,2.c,2.6,5,7,4.1,5j.1l,2.4,el,5g.w,2db.2,3y,2p.v,ff.5,2y.1,n9x.3,2.9,x.1,29.1,7l,4,5,q.1" +
      ",4e.1,r.h,1h.7,q.a,1b.2,1d,3.3,3,15,1w.5,3.1,3.1,d,9,1c,1g,2.2,3.1,6.1,2,17.1,9,6n,3,5,fn5,ki.f" +
      ",h.f,a7.1,gu,6b,46.4,1af.2,2.1,6.3,15.2,5,4m.1,10b,1j.e,1l.2,1e.3,3.1,1y.2,11.4,2.7,1r,d.1,1h.8" +
      ",c.2,2r.2,3,2.1,7,4h,4.7,m.1,1n,2,2,n,f.6,4.4,5g.7,3.2,2,2y,3.5,2,3,2.1,2.1,6k,3.3,7.1,2.1,s.1" +
      ",2e.7,3,2.1,2z,2,3.5,2,2u.2,3.3,2.4,k6.5,3.1,15.5,3.3,9,a.5,3.2,1b.c,2.1,bb.6,2.5,2,2b.l,3.6,2.1" +
      ",2.1,3f.5,4,2.1,2.6,2,fc9.4,1o.6,ux.3,f7v.1,43r,2.2,5.4,9.7,3.6,v.3,45.2,1j0.1i,5.1d,9,f,n.4,2.e" +
      ",11t.6,2.g,3.6,2.1,2.4,1pi.6,32.6,gzbq.2n,3l.6n",
  ],
  [
    Class.SPACING_MARK,
    "1s3,1k,3.2,9.3,2.1,1f.1,1o.1,7.1,3.1,1j,1n.2,1v,1n.2,9,2.1,1i.1,1p,7.1,3.1,37,2.1,4.2,2.2,1h.2" +
      ",1q.3,1q.1,1n,2.1,2.1,3.1,2.1,1j.1,1o.1,6.2,2.2,1i.1,25.1,7.6,k.1,1s,3k,3v.1,1s,4y,a.1,q.1,19" +
      ",1f6,8.7,2.1,9n.3,3.2,5.1,2.5,69.1,1n,2,m.5,42,1d,6,2.4,2.1,1q,v,5.1,3,1p,3.2,2,4.1,1d.7,9.1,4s" +
      ",h.1,4,rho.1,3,2h.1,1f.f,3z.1,1c,1d.1,5.1,2.3,33.1,3.1,p,4e,3.1,6,6m.1,2.1,2.1,2,jro,2,3k,1a.2" +
      ",5.1,38,2e,1d.2,a.1,30.2,4.1,2,4r.2,w.1,1o,2.3,3.1,3.2,l.1,5u.2,9.1,4,30.1,7,2.1,2,3,6n.1,7.3,3" +
      ",36.2,9.1,2,32,2.1,7,2y.1,5,kh.1,1d,u.1,1r,bc,f,2z,8,3,gbh.19,jc8,7",
  ],
  [Class.PREPEND, "16o.5,60,1e,cz,vg,1f8v,79.1,1o7,24.3,jh"],
  [Class.REGIONAL_INDICATOR, "2qcm.p"],
  [Class.L, "3cw.2n,u0x.s"],
  [Class.V, "3fk.1z,1349.m"],
  [Class.T, "3hk.2f,132k.1c"],
  [
    Class.E_BASE,
    "7j1,64,h.3,2iyg,1p.2,3,3.2,3a.1,3.a,u,2.8,4,5.2,2.2,z,5m.1,5,m,5.1,4v.2,4.4,2c,h.2,a,c,gc.4,2.1" +
      ",7,a.9,4.1,43.c",
  ],
  [Class.E_MODIFIER, "2qrf.4"],
  [Class.ZWJ, "6bx"],
  [Class.GLUE_AFTER_ZWJ, "7k0,2,2b.1,36,2k,2isk,1i,1h,w,h,4,1v,2,4e,1c.1,2z,5,58,48,i"],
  [Class.E_BASE_GAZ, "2que.3"],
];

/** Planes 0 and 1, and the tags and variation selectors of plane 14 behind them. */
const PLANES_0_1 = 0x20000;
const PLANE_14 = 0xe0000;
const TABLE = new Uint8Array(PLANES_0_1 + 0x1000);

function slot(codePoint: number): number {
  if (codePoint < PLANES_0_1) return codePoint;
  if (codePoint >= PLANE_14 && codePoint < PLANE_14 + 0x1000) return codePoint - PLANE_14 + PLANES_0_1;
  return -1;
}

for (const [cls, list] of RANGES) {
  let at = 0;
  for (const item of list.split(",")) {
    const [gap = "", length = "0"] = item.split(".");
    const start = at + Number.parseInt(gap, 36);
    at = start + Number.parseInt(length, 36);
    for (let codePoint = start; codePoint <= at; codePoint++) TABLE[slot(codePoint)] = cls;
  }
}
for (let codePoint = 0xac00; codePoint <= 0xd7a3; codePoint++) {
  TABLE[codePoint] = (codePoint - 0xac00) % 28 === 0 ? Class.LV : Class.LVT;
}
TABLE[0x0d] = Class.CR;
TABLE[0x0a] = Class.LF;

export function clusterClass(codePoint: number): number {
  return TABLE[slot(codePoint)] ?? Class.OTHER;
}
