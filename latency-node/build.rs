//! Lets the linker leave the Node-API symbols open: Node.js has them.

fn main() {
    napi_build::setup();
}
