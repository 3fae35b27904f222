mod faults;
mod memory;
mod model;
mod rebalance;
mod world;
