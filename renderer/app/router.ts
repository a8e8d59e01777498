import { createRouter, createWebHashHistory } from 'vue-router'
import { keepClaimCode } from '../onboarding/claim-code.ts'

/** Addresses inside the page. They stand behind `#`, so that any web server and Electron's own scheme serve them alike. */
export const router = createRouter({
  history: createWebHashHistory(),
  routes: [
    { path: '/', name: 'rooms', component: () => import('../rooms/RoomsView.vue') },
    { path: '/room/:roomId', name: 'room', component: () => import('../rooms/RoomsView.vue') },
    { path: '/settings', name: 'settings', component: () => import('../settings/SettingsView.vue') },
    {
      // `#claim=…`: how the server's start hands its code over; taken out of sight at once
      path: '/claim=:code([A-Za-z0-9-]{4,64})',
      redirect: ({ params }) => {
        keepClaimCode(String(params.code))
        return '/'
      },
    },
    { path: '/:rest(.*)*', redirect: '/' },
  ],
})
