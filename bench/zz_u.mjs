import { unit } from '/work/wt-ibp/bench/workloads.mjs';
const k = unit(); const cpu = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
const ts = []; for (let i = 0; i < 40; i++) { const a = cpu(); await k.run(); ts.push(cpu() - a); }
console.log('u', ts.sort((a,b)=>a-b)[20].toFixed(1)); process.exit(0);
