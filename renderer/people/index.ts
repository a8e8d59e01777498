/** People: their faces and their addresses. */
export { readAddresses } from './address.ts'
export { useMediaUrl } from './media-url.ts'
export { default as PersonFace } from './PersonFace.vue'
