"""Work that leaves the lab: LaTeX projects, repositories, depositions, notebooks, meshes."""
