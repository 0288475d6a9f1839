import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { live } from './lib/live.svelte';

const target = document.getElementById('app');
if (target === null) throw new Error('index.html has no element with the id app');
live.start();
mount(App, { target });
