/**
 * Imported before the runtime: without this ONNX Runtime on Linux writes logs and a device id to disk and
 * looks up hosts.
 */
process.env.ORT_DISABLE_TELEMETRY ??= '1';
