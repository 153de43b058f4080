import { workloads } from './workloads.mjs';
const k = await workloads[process.argv[2]].prepare('cpu');
const cpu = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
const ts = [];
for (let i = 0; i < (process.argv[3] ?? 40); i++) { const a = cpu(); await k.run(); ts.push(cpu() - a); }
console.log(ts.slice(5).map((x) => x.toFixed(1)).join(' '));
process.exit(0);
