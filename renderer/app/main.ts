import '@fontsource-variable/fraunces/soft.css'
import '@fontsource-variable/nunito-sans/wght.css'
import './tokens.css'
import './base.css'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import { i18n } from '../i18n/index.ts'
import { watchMediaLife } from '../people/media-url.ts'
import App from './App.vue'
import { useAppearanceStore } from './appearance-store.ts'
import { router } from './router.ts'
import { useSessionStore } from './session-store.ts'

const app = createApp(App).use(createPinia()).use(i18n).use(router)
await useAppearanceStore().start()
watchMediaLife()
app.mount('#app')
await useSessionStore().boot()
