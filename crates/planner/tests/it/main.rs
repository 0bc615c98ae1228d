//! The planner's tests: rules one by one, and a small simulated world in which they meet.

mod apply;
mod divide;
mod documents;
mod goals;
mod hot;
mod isolation;
mod make;
mod meshes;
mod money;
mod order;
mod packages;
mod place;
mod restart;
mod roll;
mod scale;
mod tls;
mod votes;
mod world;
mod world_properties;
